import { isIP } from 'node:net'
import envSchema from 'env-schema'
import { Type, type Static, type TObject } from 'typebox'
import type { Ajv, ErrorObject } from 'ajv'

/** The settings every process has, whatever it serves. */
export const ServerSettings = {
  HOST: Type.String({ default: '::', minLength: 1 }),
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535 }),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' })
}

export class SettingsError extends Error {
  override name = 'SettingsError'
}

const formats = {
  cidrs: {
    message: 'must be a comma separated list of addresses in CIDR notation',
    validate: (list: string) => list.split(',').every((cidr) => isCidr(cidr.trim()))
  },
  'key-256': {
    message: 'must be 32 bytes in base64url',
    validate: (key: string) => /^[\w-]{43}$/.test(key)
  },
  'mongodb-uri': {
    message: 'must be a MongoDB connection string',
    validate: (uri: string) => /^mongodb(\+srv)?:\/\/[^\s/]/.test(uri)
  },
  'http-url': {
    message: 'must be an http or https URL without a path',
    validate: (url: string) => /^https?:\/\/[^\s/]+\/?$/.test(url) && URL.canParse(url)
  }
}

/**
 * Reads the settings that `schema` names from `env`, with defaults and types applied.
 *
 * @throws {SettingsError} one message that names every missing or malformed setting, and no value
 */
export function loadSettings<T extends TObject> (schema: T, env: NodeJS.ProcessEnv): Static<T> {
  try {
    return envSchema<Static<T>>({ schema: { ...schema }, data: presentIn(env), env: false, ajv: { customOptions: addFormats } })
  } catch (error) {
    const { errors } = error as { errors?: ErrorObject[] }
    if (!errors) throw error
    throw new SettingsError(`Settings: ${errors.map(describe).join('; ')}`)
  }
}

// An empty variable is how compose and shells write "not set"
function presentIn (env: NodeJS.ProcessEnv) {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
}

function addFormats (ajv: Ajv) {
  for (const [name, { validate }] of Object.entries(formats)) ajv.addFormat(name, { type: 'string', validate })
  return ajv
}

function describe ({ keyword, instancePath, params, message }: ErrorObject) {
  if (keyword === 'required') return `${params.missingProperty} is missing`
  const problem = keyword === 'format' ? formats[params.format as keyof typeof formats]?.message : message
  return `${instancePath.split('/')[1]} ${problem}`
}

function isCidr (cidr: string) {
  const [address = '', prefix = '', ...rest] = cidr.split('/')
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
  return rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits
}
