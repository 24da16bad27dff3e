import { readFileSync } from 'node:fs'
import envSchema from 'env-schema'
import type { RootUser } from './server.ts'

export interface Config {
  dataDir: string
  port: number
  host: string
  logLevel: string
  ttlSeconds: number
  auth: boolean
  root: RootUser | undefined
}

// the names of the mongo image for containers
const rootSettings = ['MONGO_INITDB_ROOT_USERNAME', 'MONGO_INITDB_ROOT_PASSWORD_FILE'] as const
const [rootName, rootFile] = rootSettings

const schema = {
  type: 'object',
  required: ['DATA_DIR'],
  dependencies: { [rootName]: [rootFile], [rootFile]: [rootName] },
  properties: {
    DATA_DIR: { type: 'string', minLength: 1 },
    PORT: { type: 'integer', minimum: 0, maximum: 65535, default: 27017 },
    HOST: { type: 'string', minLength: 1, default: '127.0.0.1' },
    LOG_LEVEL: {
      type: 'string', enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], default: 'info'
    },
    TTL_SECONDS: { type: 'number', exclusiveMinimum: 0, default: 60 },
    AUTHORIZATION: { type: 'string', enum: ['enabled', 'disabled'], default: 'enabled' },
    [rootName]: { type: 'string', minLength: 1 },
    [rootFile]: { type: 'string', minLength: 1 }
  }
}

/** Reads the settings. Throws one error that names every setting that is wrong. */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const values = envSchema<Record<string, string & number>>({ schema, data: env, dotenv: false, env: false })
  const user = values[rootName]
  return {
    dataDir: values.DATA_DIR!,
    port: values.PORT!,
    host: values.HOST!,
    logLevel: values.LOG_LEVEL!,
    ttlSeconds: values.TTL_SECONDS!,
    auth: values.AUTHORIZATION === 'enabled',
    root: user === undefined ? undefined : { user, password: passwordIn(values[rootFile]!) }
  }
}

function passwordIn (file: string): string {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`${rootFile} cannot be read: ${(error as Error).message}`)
  }
  const password = content.replace(/[\r\n]+$/, '')
  if (password === '') throw new Error(`${rootFile} names an empty file`)
  return password
}
