import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { Type, type Static } from 'typebox'
import {
  ServerSettings, SettingsError, loadSettings, loadWithSecrets, type SecretSettings
} from '#common/config.ts'
import { databaseName } from '#common/database.ts'

const MIB = 2 ** 20

const Settings = Type.Object({
  /** The address of the pages; they show ids of patients, so only this machine reaches them by default. */
  HOST: Type.String({ default: '127.0.0.1', minLength: 1 }),
  PORT: ServerSettings.PORT,
  LOG_LEVEL: ServerSettings.LOG_LEVEL,
  /** The host names that the pages are served under, comma separated. */
  PAGE_NAMES: Type.String({ default: 'localhost,127.0.0.1,[::1]', minLength: 1 }),
  /** The address of the ingestion endpoint, which uses TLS. */
  INGESTION_HOST: Type.String({ default: '127.0.0.1', minLength: 1 }),
  INGESTION_PORT: Type.Integer({ default: 8443, minimum: 0, maximum: 65535 }),
  TLS_CERT_FILE: Type.String({ minLength: 1 }),
  TLS_KEY_FILE: Type.String({ minLength: 1 }),
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

type OwnSettings = Omit<Static<typeof Settings>, 'PAGE_NAMES' | 'TLS_CERT_FILE' | 'TLS_KEY_FILE'>

export interface Config extends OwnSettings {
  pageNames: Set<string>
  tls: { cert: string, key: string }
  /** Of the connection to the audit register; without it the pages leave audit records out. */
  secrets?: SecretSettings
}

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const hasRegister = Boolean(env.KEY_VAULT_URI || env.AUDIT_DB_VIEWER_CONNECTION)
  const loaded: Static<typeof Settings> & { secrets?: SecretSettings } = hasRegister
    ? loadWithSecrets(Settings, secrets, env)
    : loadSettings(Settings, env)
  const { PAGE_NAMES, TLS_CERT_FILE, TLS_KEY_FILE, ...settings } = loaded
  return {
    ...settings,
    pageNames: new Set(PAGE_NAMES.toLowerCase().split(',').map((name) => name.trim())),
    tls: readCertificate(TLS_CERT_FILE, TLS_KEY_FILE)
  }
}

function readCertificate (certFile: string, keyFile: string) {
  try {
    const tls = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
    createSecureContext(tls)
    return tls
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new SettingsError(`Settings: TLS_CERT_FILE and TLS_KEY_FILE cannot be used (${code})`)
  }
}
