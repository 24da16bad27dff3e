import { Type } from 'typebox'
import { loadSettings, ServerSettings } from '#common/config.ts'
import type { DatabaseOptions } from './server.ts'

const Settings = Type.Object({
  LOG_LEVEL: ServerSettings.LOG_LEVEL,
  DATA_DIR: Type.String({ minLength: 1 }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 27017 }),
  HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  AUTHORIZATION: Type.Enum(['enabled', 'disabled'], { default: 'enabled' })
})

/** @throws {SettingsError} one message that names every setting that is wrong */
export function loadConfig (env: NodeJS.ProcessEnv): Omit<DatabaseOptions, 'logger'> & { logLevel: string } {
  const { DATA_DIR: dataDir, PORT: port, HOST: host, LOG_LEVEL: logLevel, AUTHORIZATION } =
    loadSettings(Settings, env)
  return { dataDir, port, host, logLevel, auth: AUTHORIZATION === 'enabled' }
}
