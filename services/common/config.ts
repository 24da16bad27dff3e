import { isIP } from 'node:net'
import { Type, type Static, type TObject, type TSchema } from 'typebox'
import { Format } from 'typebox/format'
import { Check, Errors } from 'typebox/schema'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** The settings every process has, whatever it serves. */
export const ServerSettings = {
  HOST: Type.String({ default: '::', minLength: 1 }),
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535 }),
  LOG_LEVEL: Type.Enum(LOG_LEVELS, { default: 'info' })
}

/** For processes that are one replica of several. */
export const DrainSettings = {
  /**
   * How long a replica that was told to end goes on serving. Callers let go of a connection after 4 s without a call:
   * with more, none that is still open when it closes can have a request on its way.
   */
  DRAIN_SECONDS: Type.Number({ default: 5, minimum: 0, maximum: 20 })
}

/** How a process opens the vault, instead of having its secrets in settings. */
export const KeyVaultSettings = {
  KEY_VAULT_URI: Type.String({ format: 'https-url' }),
  /** The client id of the managed identity; without one it is a developer's own login. */
  AZURE_CLIENT_ID: Type.Optional(Type.String({ format: 'guid' })),
  /** Where the platform hands out the identity's tokens, and what it wants to see for them. Both are the platform's own. */
  IDENTITY_ENDPOINT: Type.Optional(Type.String({ minLength: 1 })),
  IDENTITY_HEADER: Type.Optional(Type.String({ minLength: 1 }))
}

export const KeyRefreshSettings = {
  /** How old what a process knows of a secret may grow; a leaked key is refused everywhere within it. */
  KEY_REFRESH_SECONDS: Type.Number({ default: 60, minimum: 1, maximum: 60 }),
  /** The age at which a key gets a warning. */
  KEY_ROTATION_DAYS: Type.Number({ default: 90, exclusiveMinimum: 0 })
}

export const TelemetrySettings = {
  /** Of Application Insights; without it nothing is told to anybody. */
  APPLICATIONINSIGHTS_CONNECTION_STRING: Type.Optional(Type.String({ format: 'ingestion' })),
  /** The share of operations that are told, of 1; failures and refusals always are. */
  TELEMETRY_SAMPLING: Type.Number({ default: 1, minimum: 0, maximum: 1 }),
  /** `identity` where ingestion takes telemetry of the managed identity AZURE_CLIENT_ID only. */
  TELEMETRY_AUTHENTICATION: Type.Enum(['none', 'identity'], { default: 'none' })
}

export class SettingsError extends Error {
  override name = 'SettingsError'
}

const formats = {
  cidrs: {
    message: 'must be a comma separated list of addresses in CIDR notation',
    validate: (list: string) => list.split(',').every((cidr) => isCidr(cidr.trim()))
  },
  'host-key': {
    message: 'must have at least 16 characters, all of them printable ASCII without spaces',
    validate: (key: string) => /^[\x21-\x7e]{16,256}$/.test(key)
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
  },
  'https-url': {
    message: 'must be an https URL without a path',
    validate: (url: string) => /^https:\/\/[^\s/@]+\/?$/.test(url) && URL.canParse(url)
  },
  ingestion: {
    message: 'must be a connection string of Application Insights with an https endpoint',
    validate: (text: string) => /(^|;)InstrumentationKey=[0-9a-f-]{36}(;|$)/i.test(text) && /(^|;)IngestionEndpoint=https:\/\/[^\s;]+(;|$)/i.test(text)
  },
  guid: {
    message: 'must be a GUID',
    validate: (id: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)
  },
  json: {
    message: 'must be JSON',
    validate: isJson
  }
}
for (const [name, { validate }] of Object.entries(formats)) Format.Set(name, validate)

/** Secrets by their names in the vault, each with the format of its value. As settings they have the same names in upper case. */
export type SecretFormats = Record<string, keyof typeof formats>

/** Where the values of secrets come from, and what they must look like. */
export interface SecretSettings {
  formats: SecretFormats
  source: Record<string, string> | VaultSource
}

export interface VaultSource extends Static<TObject<typeof KeyVaultSettings & typeof KeyRefreshSettings>> {}

/**
 * Reads the settings that `schema` names from `env`, with defaults and types applied.
 *
 * @throws {SettingsError} one message that names every missing or malformed setting, and no value
 */
export function loadSettings<T extends TObject> (schema: T, env: NodeJS.ProcessEnv): Static<T> {
  const given = presentIn(env)
  const settings: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const value = valueOf(property, given[name])
    // Interpreted: to compile a schema that is used once would take longer than all the rest
    if (value === undefined) problems.push(...schema.required?.includes(name) ? [`${name} is missing`] : [])
    else if (Check(property, value)) settings[name] = value
    else problems.push(`${name} ${problemOf(property, value)}`)
  }
  if (problems.length > 0) throw new SettingsError(`Settings: ${problems.join('; ')}`)
  return settings as Static<T>
}

/**
 * Reads settings and says where the secrets come from: the vault that KEY_VAULT_URI names, or settings of their own.
 *
 * @throws {SettingsError} as `loadSettings` does, and where both are given
 */
export function loadWithSecrets<T extends TObject> (schema: T, secrets: SecretFormats, env: NodeJS.ProcessEnv): Static<T> & { secrets: SecretSettings } {
  const present = presentIn(env)
  const names = Object.keys(secrets)
  if (present.KEY_VAULT_URI !== undefined) {
    const both = names.map(settingOf).filter((name) => name in present)
    if (both.length > 0) throw new SettingsError(`Settings: ${both.join(', ')} given beside KEY_VAULT_URI; secrets come from the vault or from settings`)
    const vault = { ...KeyVaultSettings, ...KeyRefreshSettings }
    const settings = loadSettings(Type.Object({ ...schema.properties, ...vault }), env) as Static<T> & VaultSource
    return { ...without(settings, Object.keys(vault)), secrets: { formats: secrets, source: settings } }
  }
  const values = Object.fromEntries(names.map((name) => [settingOf(name), Type.String({ format: secrets[name] })]))
  const settings = loadSettings(Type.Object({ ...schema.properties, ...values }), env) as Static<T> & Record<string, string>
  const source = Object.fromEntries(names.map((name) => [name, settings[settingOf(name)]!]))
  return { ...without(settings, Object.keys(values)), secrets: { formats: secrets, source } }
}

/** Whether `value` has the format of the secret `name`. */
export function isWellFormed ({ formats: secrets }: SecretSettings, name: string, value: string) {
  return formats[secrets[name]!].validate(value)
}

/** The setting that stands for a secret. */
export function settingOf (secret: string) {
  return secret.replaceAll('-', '_').toUpperCase()
}

function without<T extends object> (settings: T, names: string[]) {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !names.includes(name))) as T
}

// An empty variable is how compose and shells write "not set"
function presentIn (env: NodeJS.ProcessEnv) {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
}

function valueOf ({ type, format, default: fallback }: { type?: string, format?: string, default?: unknown }, text: string | undefined) {
  // It would pass for one that any text has
  if (format !== undefined && !Format.Has(format)) throw new Error(`there is no format ${format}`)
  if (text === undefined) return fallback
  return type === 'integer' || type === 'number' ? Number(text) : text
}

/** Completes the sentence "<setting> …". */
function problemOf (property: TSchema, value: unknown) {
  const [{ keyword, params, message }] = Errors(property, value)[1] as [ReturnType<typeof Errors>[1][number]]
  return keyword === 'format' ? formats[params.format as keyof typeof formats]?.message : message
}

function isJson (text: string) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function isCidr (cidr: string) {
  const [address = '', prefix = '', ...rest] = cidr.split('/')
  const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
  return rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits
}
