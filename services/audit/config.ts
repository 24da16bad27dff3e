import { AllowListSettings } from '#common/guard/allow-list.ts'
import { DrainSettings, loadWithSecrets, ServerSettings, TelemetrySettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'
import { Type } from 'typebox'
import { LOG_ORIGIN } from '#common/transparency/names.ts'
import { parseWitnesses } from './log/witnesses.ts'

/** Settings that a system passes on to its audit service. */
export const RegisterSettings = {
  /** The name of the log in checkpoints, which never changes: by convention a URL without its scheme. */
  LOG_ORIGIN: Type.String({ default: LOG_ORIGIN, pattern: '^[^\\s+]{1,256}$' }),
  /** The longest range of dates that one query may have. */
  QUERY_MAX_DAYS: Type.Integer({ default: 31, minimum: 1, maximum: 3_660 }),
  /** Pairs of the public key and the URL of a witness. */
  WITNESSES: Type.Optional(Type.String())
}

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  DATABASE_NAME: databaseName('audit'),
  ...RegisterSettings
})

const secrets = {
  'audit-host-key': 'host-key',
  'audit-query-key': 'host-key',
  'audit-log-key': 'key-256',
  'audit-db-connection': 'mongodb-uri'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const settings = loadWithSecrets(Settings, secrets, env)
  return { ...settings, witnesses: parseWitnesses(settings.WITNESSES) }
}
