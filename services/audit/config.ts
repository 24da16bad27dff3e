import { AllowListSettings } from '#common/guard/allow-list.ts'
import { DrainSettings, loadWithSecrets, ServerSettings, TelemetrySettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'
import { Type } from 'typebox'

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  DATABASE_NAME: databaseName('audit'),
  /** The name of the log in checkpoints, which never changes: by convention a URL without its scheme. */
  LOG_ORIGIN: Type.String({ default: 'audited-patient-api/register', pattern: '^[^\\s+]{1,256}$' }),
  /** The longest range of dates that one query may have. */
  QUERY_MAX_DAYS: Type.Integer({ default: 31, minimum: 1, maximum: 3_660 })
})

const secrets = {
  'audit-host-key': 'host-key',
  'audit-query-key': 'host-key',
  'audit-log-key': 'key-256',
  'audit-db-connection': 'mongodb-uri'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv) => loadWithSecrets(Settings, secrets, env)
