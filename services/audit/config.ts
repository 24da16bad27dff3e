import { AllowListSettings } from '#common/allow-list.ts'
import { loadSettings, ServerSettings } from '#common/config.ts'
import { databaseName } from '#common/database.ts'
import { Type, type Static } from 'typebox'

const Settings = Type.Object({
  ...ServerSettings,
  ...AllowListSettings,
  AUDIT_HOST_KEY: Type.String({ minLength: 16 }),
  AUDIT_DB_CONNECTION: Type.String({ format: 'mongodb-uri' }),
  DATABASE_NAME: databaseName('audit')
})

export type Config = Static<typeof Settings>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv): Config => loadSettings(Settings, env)
