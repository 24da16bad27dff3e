import { Type } from 'typebox'
import { AllowListSettings } from '#common/guard/allow-list.ts'
import {
  DrainSettings, loadWithSecrets, PatientSettings, ServerSettings, TelemetrySettings
} from '#common/config.ts'
import { databaseName } from '#common/database.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  ...PatientSettings,
  /**
   * How often a process shows others that it runs, once it has written. After three times as long without,
   * they find the outcomes of what it attempted.
   */
  HEARTBEAT_SECONDS: Type.Number({ default: 10, minimum: 0.1, maximum: 15 }),
  AUDIT_URL: Type.String({ format: 'http-url' }),
  DATABASE_NAME: databaseName('patient')
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
