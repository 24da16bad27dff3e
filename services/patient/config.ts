import { Type } from 'typebox'
import { AllowListSettings } from '#common/guard/allow-list.ts'
import { DrainSettings, loadWithSecrets, ServerSettings, TelemetrySettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  AUDIT_URL: Type.String({ format: 'http-url' }),
  DATABASE_NAME: databaseName('patient'),
  /** How long a deleted patient can be restored. */
  DELETION_GRACE_DAYS: Type.Integer({ default: 0, minimum: 0, maximum: 365 })
})

const secrets = {
  'patient-host-key': 'host-key',
  'audit-host-key': 'host-key',
  'patient-db-connection': 'mongodb-uri',
  'patient-data-key': 'key-256'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv) => loadWithSecrets(Settings, secrets, env)
