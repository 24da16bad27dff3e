import { Type } from 'typebox'
import { KeyRefreshSettings, KeyVaultSettings, loadSettings, SettingsError } from '#common/config.ts'
import { COSMOS_ACCOUNT } from './cosmos-keys.ts'

const account = Type.Optional(Type.String({ pattern: COSMOS_ACCOUNT.source }))

const Settings = Type.Object({
  ...KeyVaultSettings,
  KEY_REFRESH_SECONDS: KeyRefreshSettings.KEY_REFRESH_SECONDS,
  /** How long a superseded version is accepted. */
  KEY_GRACE_SECONDS: Type.Number({ default: 600, minimum: 3, maximum: 31_536_000 }),
  /** The resource id of a database's Cosmos DB account; unset, the database's users are rotated. */
  PATIENT_COSMOS_ACCOUNT: account,
  AUDIT_COSMOS_ACCOUNT: account,
  /** Azure's management API; sovereign clouds have their own. */
  RESOURCE_MANAGER_URI: Type.String({ format: 'https-url', default: 'https://management.azure.com' })
})

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const config = loadSettings(Settings, env)
  // A new version is active after two intervals, and within a third every caller has read it
  if (config.KEY_GRACE_SECONDS < 3 * config.KEY_REFRESH_SECONDS) {
    throw new SettingsError('Settings: KEY_GRACE_SECONDS must be at least three times KEY_REFRESH_SECONDS')
  }
  return config
}
