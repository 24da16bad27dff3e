import { Type, type Static } from 'typebox'
import { ServerSettings, loadSettings, loadWithSecrets, type SecretSettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'
import { CertificateSettings, readCertificate } from '../certificate.ts'

const MIB = 2 ** 20

const Settings = Type.Object({
  ...CertificateSettings,
  /** The address of the pages; they show ids of patients, so only this machine reaches them by default. */
  HOST: Type.String({ default: '127.0.0.1', minLength: 1 }),
  PORT: ServerSettings.PORT,
  LOG_LEVEL: ServerSettings.LOG_LEVEL,
  /** The host names that the pages are served under, comma separated. */
  PAGE_NAMES: Type.String({ default: 'localhost,127.0.0.1,[::1]', minLength: 1 }),
  /** The address of the ingestion endpoint, which uses TLS. */
  INGESTION_HOST: Type.String({ default: '127.0.0.1', minLength: 1 }),
  INGESTION_PORT: Type.Integer({ default: 8443, minimum: 0, maximum: 65535 }),
  /** The maximum size of a batch, uncompressed. */
  BODY_BYTES: Type.Integer({ default: 8 * MIB, minimum: 1024, maximum: 64 * MIB }),
  /** The bounds of what is kept; the oldest operations are dropped first. */
  MAX_OPERATIONS: Type.Integer({ default: 2_000, minimum: 1, maximum: 100_000 }),
  MAX_BYTES: Type.Integer({ default: 64 * MIB, minimum: 64 * 1024, maximum: 1024 * MIB }),
  /** The database of the audit register. */
  DATABASE_NAME: databaseName('audit')
})

// A user who may only read the register
const secrets = { 'audit-db-viewer-connection': 'mongodb-uri' } as const

export type Config = ReturnType<typeof loadConfig>

/**
 * Reads the settings. Without a connection to the audit register, the pages leave audit records out.
 *
 * @throws {SettingsError}
 */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const hasRegister = Boolean(env.KEY_VAULT_URI || env.AUDIT_DB_VIEWER_CONNECTION)
  const settings: Static<typeof Settings> & { secrets?: SecretSettings } = hasRegister
    ? loadWithSecrets(Settings, secrets, env)
    : loadSettings(Settings, env)
  const names = settings.PAGE_NAMES.toLowerCase().split(',').map((name) => name.trim())
  return { ...settings, pageNames: new Set(names), tls: readCertificate(settings) }
}
