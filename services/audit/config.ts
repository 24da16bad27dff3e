import { AllowListSettings } from '#common/guard/allow-list.ts'
import { DrainSettings, loadWithSecrets, ServerSettings, TelemetrySettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'
import { Type } from 'typebox'
import { parseWitnesses } from './log/witnesses.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  DATABASE_NAME: databaseName('audit'),
  /** Pairs of the public key and the URL of a witness. */
  WITNESSES: Type.Optional(Type.String())
})

const secrets = {
  'audit-host-key': 'host-key',
  'audit-db-connection': 'mongodb-uri',
  'audit-log-key': 'key-256'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const settings = loadWithSecrets(Settings, secrets, env)
  return { ...settings, witnesses: parseWitnesses(settings.WITNESSES) }
}
