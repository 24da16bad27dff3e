import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { loadSettings, ServerSettings, SettingsError } from '#common/config.ts'
import type { RootUser } from './server.ts'

export interface Config {
  dataDir: string
  port: number
  host: string
  logLevel: string
  ttlSeconds: number
  auth: boolean
  root: RootUser | undefined
}

// the names of the mongo image for containers
const [rootName, rootFile] = ['MONGO_INITDB_ROOT_USERNAME', 'MONGO_INITDB_ROOT_PASSWORD_FILE'] as const

const Settings = Type.Object({
  LOG_LEVEL: ServerSettings.LOG_LEVEL,
  DATA_DIR: Type.String({ minLength: 1 }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 27017 }),
  HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  TTL_SECONDS: Type.Number({ exclusiveMinimum: 0, default: 60 }),
  AUTHORIZATION: Type.Enum(['enabled', 'disabled'], { default: 'enabled' }),
  [rootName]: Type.Optional(Type.String({ minLength: 1 })),
  [rootFile]: Type.Optional(Type.String({ minLength: 1 }))
})

/** @throws {SettingsError} one message that names every setting that is wrong */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const values = loadSettings(Settings, env)
  const { [rootName]: user, [rootFile]: file } = values
  if ((user === undefined) !== (file === undefined)) {
    throw new SettingsError(`Settings: ${rootName} and ${rootFile} must be given together`)
  }
  return {
    dataDir: values.DATA_DIR,
    port: values.PORT,
    host: values.HOST,
    logLevel: values.LOG_LEVEL,
    ttlSeconds: values.TTL_SECONDS,
    auth: values.AUTHORIZATION === 'enabled',
    root: user === undefined ? undefined : { user, password: passwordIn(file!) }
  }
}

function passwordIn (file: string): string {
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
