import { Type, type Static } from 'typebox'
import { AllowListSettings } from '#common/allow-list.ts'
import { loadSettings, ServerSettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...AllowListSettings,
  PATIENT_HOST_KEY: Type.String({ minLength: 16 }),
  PATIENT_DB_CONNECTION: Type.String({ format: 'mongodb-uri' }),
  PATIENT_DATA_KEY: Type.String({ format: 'key-256' }),
  AUDIT_URL: Type.String({ format: 'http-url' }),
  AUDIT_HOST_KEY: Type.String({ minLength: 16 }),
  DATABASE_NAME: databaseName('patient')
})

export type Config = Static<typeof Settings>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv): Config => loadSettings(Settings, env)
