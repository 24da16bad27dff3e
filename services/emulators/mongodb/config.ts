import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { loadSettings, ServerSettings, SettingsError } from '#common/config.ts'
import type { DatabaseOptions } from './server.ts'

// The names of the mongo image for containers
const [rootName, rootFile] = ['MONGO_INITDB_ROOT_USERNAME', 'MONGO_INITDB_ROOT_PASSWORD_FILE'] as const

const Settings = Type.Object({
  LOG_LEVEL: ServerSettings.LOG_LEVEL,
  DATA_DIR: Type.String({ minLength: 1 }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 27017 }),
  HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  AUTHORIZATION: Type.Enum(['enabled', 'disabled'], { default: 'enabled' }),
  [rootName]: Type.Optional(Type.String({ minLength: 1 })),
  [rootFile]: Type.Optional(Type.String({ minLength: 1 }))
})

/** @throws {SettingsError} one message that names every setting that is wrong */
export function loadConfig (env: NodeJS.ProcessEnv): Omit<DatabaseOptions, 'logger'> & { logLevel: string } {
  const settings = loadSettings(Settings, env)
  const { DATA_DIR: dataDir, PORT: port, HOST: host, LOG_LEVEL: logLevel, AUTHORIZATION } = settings
  const { [rootName]: user, [rootFile]: file } = settings
  if ((user === undefined) !== (file === undefined)) {
    throw new SettingsError(`Settings: ${rootName} and ${rootFile} must be given together`)
  }
  const root = user === undefined ? undefined : { user, password: passwordIn(file!) }
  return { dataDir, port, host, logLevel, auth: AUTHORIZATION === 'enabled', root }
}

function passwordIn (file: string) {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`${rootFile} cannot be read: ${(error as Error).message}`)
  }
  const password = content.replace(/[\r\n]+$/, '')
  if (password === '') throw new Error(`${rootFile} names an empty file`)
  return password
}
