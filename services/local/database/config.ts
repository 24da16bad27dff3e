import envSchema from 'env-schema'

export interface Config {
  dataDir: string
  port: number
  host: string
  logLevel: string
  ttlSeconds: number
}

const schema = {
  type: 'object',
  required: ['DATA_DIR'],
  properties: {
    DATA_DIR: { type: 'string', minLength: 1 },
    PORT: { type: 'integer', minimum: 0, maximum: 65535, default: 27017 },
    HOST: { type: 'string', minLength: 1, default: '127.0.0.1' },
    LOG_LEVEL: { type: 'string', enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], default: 'info' },
    TTL_SECONDS: { type: 'number', exclusiveMinimum: 0, default: 60 }
  }
}

/** Reads the settings. Throws one error that names every setting that is wrong. */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const values = envSchema<Record<string, string & number>>({ schema, data: env, dotenv: false, env: false })
  return { dataDir: values.DATA_DIR!, port: values.PORT!, host: values.HOST!, logLevel: values.LOG_LEVEL!, ttlSeconds: values.TTL_SECONDS! }
}
