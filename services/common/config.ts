import { BlockList, isIP } from 'node:net'
import { ConnectionString } from 'mongodb-connection-string-url'
import { Type, type Static, type TObject, type TSchema } from 'typebox'
import { Format } from 'typebox/format'
import { Check, Errors } from 'typebox/schema'
import { LOG_ORIGIN } from './transparency/names.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** The settings of every process. */
export const ServerSettings = {
  HOST: Type.String({ default: '::', minLength: 1 }),
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535 }),
  LOG_LEVEL: Type.Enum(LOG_LEVELS, { default: 'info' })
}

/** Settings of the audit service, which a system passes on to it. */
export const RegisterSettings = {
  /** The name of the log in checkpoints, which never changes: by convention a URL without its scheme. */
  LOG_ORIGIN: Type.String({ default: LOG_ORIGIN, pattern: '^[^\\s+]{1,256}$' }),
  /** The longest range of dates that one query may have. */
  QUERY_MAX_DAYS: Type.Integer({ default: 31, minimum: 1, maximum: 3_660 }),
  /** The hours of the day in which the review expects people at work; outside of them it is night. */
  USUAL_HOURS: Type.String({
    default: '06:00-22:00', pattern: '^([01]\\d|2[0-3]):[0-5]\\d-([01]\\d|2[0-3]):[0-5]\\d$'
  }),
  /** The time zone of these hours, a name of the IANA database. */
  TIME_ZONE: Type.String({ default: 'UTC', minLength: 1 }),
  /** Pairs of the public key and the URL of a witness. */
  WITNESSES: Type.String({ default: '' })
}

/** The settings of the patient service that a whole system passes on to it. */
export const PatientSettings = {
  /** The country of phone numbers that do not name theirs (ISO 3166-1 alpha-2). */
  DEFAULT_REGION: Type.String({ default: 'GB', pattern: '^[A-Z]{2}$' }),
  /** How long a deleted patient is kept and can be restored; 0 removes patients at once. */
  DELETION_GRACE_DAYS: Type.Integer({ default: 0, minimum: 0, maximum: 365 })
}

/** What callers of the local gateway have to send; on Azure, each product has settings of its own. */
export const CallerSettings = {
  /** Whether each request must have X-On-Behalf-Of. */
  REQUIRE_ON_BEHALF_OF: Type.Enum(['true', 'false'], { default: 'false' }),
  /** Whether each request must have X-Purpose-Of-Use. */
  REQUIRE_PURPOSE_OF_USE: Type.Enum(['true', 'false'], { default: 'false' })
}

/** For services that run as several replicas. */
export const DrainSettings = {
  /**
   * How long a replica accepts requests after SIGTERM. Callers close connections that are idle for 4 s, so
   * with more than that no request is lost when the replica closes.
   */
  DRAIN_SECONDS: Type.Number({ default: 5, minimum: 0, maximum: 20 })
}

/** For processes that read their secrets from Key Vault rather than from settings. */
export const KeyVaultSettings = {
  KEY_VAULT_URI: Type.String({ format: 'https-url' }),
  /** The client id of the managed identity; without one, the developer's own credentials are used. */
  AZURE_CLIENT_ID: Type.Optional(Type.String({ format: 'guid' })),
  /** The token endpoint for managed identities and the header that it requires; Container Apps sets both. */
  IDENTITY_ENDPOINT: Type.Optional(Type.String({ minLength: 1 })),
  IDENTITY_HEADER: Type.Optional(Type.String({ minLength: 1 }))
}

export const KeyRefreshSettings = {
  /** How often secrets are refreshed. A revoked key is refused by every replica after this time. */
  KEY_REFRESH_SECONDS: Type.Number({ default: 60, minimum: 1, maximum: 60 }),
  /** The age from which a warning about a key is logged. */
  KEY_ROTATION_DAYS: Type.Number({ default: 90, exclusiveMinimum: 0 })
}

export const TelemetrySettings = {
  /** Unset: telemetry is off and its packages are not loaded. */
  APPLICATIONINSIGHTS_CONNECTION_STRING: Type.Optional(Type.String({ format: 'ingestion' })),
  /** The sampling ratio of operations, from 0 to 1; failures and refusals are always exported. */
  TELEMETRY_SAMPLING: Type.Number({ default: 1, minimum: 0, maximum: 1 }),
  /** `identity`: ingestion is called with tokens of the managed identity AZURE_CLIENT_ID. */
  TELEMETRY_AUTHENTICATION: Type.Enum(['none', 'identity'], { default: 'none' })
}

export class SettingsError extends Error {
  override name = 'SettingsError'
}

interface SettingFormat {
  /** Completes the sentence "<setting> …". */
  message: string
  validate: (text: string) => boolean
}

const formats = {
  cidrs: {
    message: 'must be a comma separated list of addresses in CIDR notation',
    validate: (list) => accepts(() => parseCidrs(list))
  },
  'host-key': {
    message: 'must have at least 16 characters, all of them printable ASCII without spaces',
    validate: (key) => /^[\x21-\x7e]{16,256}$/.test(key)
  },
  'key-256': { message: 'must be 32 bytes in base64url', validate: (key) => /^[\w-]{43}$/.test(key) },
  'mongodb-uri': {
    message: 'must be a MongoDB connection string',
    validate: (text) => !/\s/.test(text) && accepts(() => new ConnectionString(text))
  },
  'http-url': {
    message: 'must be an http or https URL without a path',
    validate: (url) => /^https?:\/\/[^\s/]+\/?$/.test(url) && URL.canParse(url)
  },
  'https-url': {
    message: 'must be an https URL without a path',
    validate: (url) => /^https:\/\/[^\s/@]+\/?$/.test(url) && URL.canParse(url)
  },
  ingestion: {
    message: 'must be a connection string of Application Insights with an https endpoint',
    validate: (text) => /(^|;)InstrumentationKey=[0-9a-f-]{36}(;|$)/i.test(text) &&
      /(^|;)IngestionEndpoint=https:\/\/[^\s;]+(;|$)/i.test(text)
  },
  guid: {
    message: 'must be a GUID',
    validate: (id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)
  },
  json: { message: 'must be JSON', validate: (text) => accepts(() => JSON.parse(text)) }
} satisfies Record<string, SettingFormat>
for (const [name, { validate }] of Object.entries(formats)) Format.Set(name, validate)

/** The format of each secret by its name in Key Vault. As a setting, `a-secret` is A_SECRET. */
type SecretFormats = Record<string, keyof typeof formats>

/** The formats of a process's secrets, and their source: settings, or Key Vault. */
export interface SecretSettings {
  formats: SecretFormats
  source: Record<string, string> | VaultSource
}

const VaultSettings = Type.Object({ ...KeyVaultSettings, ...KeyRefreshSettings })
export interface VaultSource extends Static<typeof VaultSettings> {}

/**
 * Reads the settings that `schema` names from `env`, with defaults and types applied.
 *
 * @throws {SettingsError} one message that names every missing or malformed setting, and no value
 */
export function loadSettings<T extends TObject> (schema: T, env: NodeJS.ProcessEnv): Static<T> {
  const problems: string[] = []
  const settings = readSettings(schema, env, problems)
  if (problems.length > 0) throw new SettingsError(`Settings: ${problems.join('; ')}`)
  return settings
}

/**
 * Reads settings and the source of the secrets: Key Vault if KEY_VAULT_URI is set, else one setting a secret.
 *
 * @throws {SettingsError} as `loadSettings` does, and if both are given
 */
export function loadWithSecrets<T extends TObject> (
  schema: T, secrets: SecretFormats, env: NodeJS.ProcessEnv
) {
  const problems: string[] = []
  const settings = readSettings(schema, env, problems)
  const source = env.KEY_VAULT_URI
    ? readVaultSource(secrets, env, problems)
    : readSecrets(secrets, env, problems)
  if (problems.length > 0) throw new SettingsError(`Settings: ${problems.join('; ')}`)
  return { ...settings, secrets: { formats: secrets, source } as SecretSettings }
}

function readVaultSource (secrets: SecretFormats, env: NodeJS.ProcessEnv, problems: string[]) {
  const both = Object.keys(secrets).map(settingOf).filter((name) => env[name])
  if (both.length > 0) problems.push(`${both.join(', ')} and KEY_VAULT_URI exclude each other`)
  return readSettings(VaultSettings, env, problems)
}

function readSecrets (secrets: SecretFormats, env: NodeJS.ProcessEnv, problems: string[]) {
  const schemas = Object.entries(secrets).map(([name, format]) => [settingOf(name), Type.String({ format })])
  const values = readSettings(Type.Object(Object.fromEntries(schemas)), env, problems)
  return Object.fromEntries(Object.keys(secrets).map((name) => [name, values[settingOf(name)]]))
}

/** Whether `value` has the format of the secret `name`. */
export function isWellFormed ({ formats: secrets }: SecretSettings, name: string, value: string) {
  return formats[secrets[name]!].validate(value)
}

/** The name of a secret as a setting. */
export function settingOf (secret: string) {
  return secret.replaceAll('-', '_').toUpperCase()
}

type Property = TSchema & { type?: string, format?: string, default?: unknown }

/** Reads settings, and adds to `problems` a sentence for each that is missing or malformed. */
function readSettings<T extends TObject> (schema: T, env: NodeJS.ProcessEnv, problems: string[]) {
  const settings: Record<string, unknown> = {}
  for (const [name, property] of Object.entries<Property>(schema.properties)) {
    const value = valueOf(property, env[name])
    // Not compiled, since that takes longer for a schema that is used once
    if (value === undefined) problems.push(...schema.required?.includes(name) ? [`${name} is missing`] : [])
    else if (Check(property, value)) settings[name] = value
    else problems.push(`${name} ${problemOf(property, value)}`)
  }
  return settings as Static<T>
}

// Number() also accepts white space (as 0), hexadecimal and exponents
const DECIMAL = /^-?\d+(\.\d+)?$/

function valueOf ({ type, format, default: fallback }: Property, text: string | undefined) {
  // TypeBox accepts any string for an unknown format
  if (format !== undefined && !Format.Has(format)) throw new Error(`there is no format ${format}`)
  // Compose and shells set a variable without a value to an empty string
  if (!text) return fallback
  return (type === 'integer' || type === 'number') && DECIMAL.test(text) ? Number(text) : text
}

/** Completes the sentence "<setting> …". */
function problemOf (property: Property, value: unknown) {
  const [{ keyword, params, message }] = Errors(property, value)[1] as [ReturnType<typeof Errors>[1][number]]
  if (keyword === 'format') return formats[params.format as keyof typeof formats]?.message
  return keyword === 'type' && property.type !== 'string' ? `${message} in decimal notation` : message
}

/** Throws if an entry of the comma separated list is not an address with a prefix that fits it. */
export function parseCidrs (list: string) {
  const addresses = new BlockList()
  for (const cidr of list.split(',')) {
    const [, address = '', prefix] = /^([^/]+)\/(\d+)$/.exec(cidr.trim()) ?? []
    addresses.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return addresses
}

function accepts (parse: () => unknown) {
  try {
    parse()
    return true
  } catch {
    return false
  }
}
