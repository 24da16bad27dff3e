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
  /** The country of phone numbers that do not name theirs (ISO 3166-1 alpha-2). */
  DEFAULT_REGION: Type.String({ default: 'GB', pattern: '^[A-Z]{2}$' })
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
