import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { ServerSettings, loadSettings } from '#common/config.ts'

/** How an app is scaled, as Container Apps' rules for it say. */
export const ScaleSettings = {
  /** How long more replicas than are needed stay, the last one too: Container Apps' cool-down. */
  IDLE_SECONDS: Type.Number({ default: 300, exclusiveMinimum: 0 }),
  MAX_REPLICAS: Type.Integer({ default: 4, minimum: 1 }),
  /** Requests at a time that one replica gets before there is another. */
  CONCURRENT_REQUESTS: Type.Integer({ default: 50, minimum: 1 })
}

const Settings = Type.Object({
  ...ServerSettings,
  ...ScaleSettings,
  /** Of the app, for the log. */
  APP_NAME: Type.String({ minLength: 1 }),
  /** The main module of the service. Its settings are all those of this process that are not named here. */
  APP_MODULE: Type.String({ minLength: 1 }),
  /** How many requests may wait for a replica. */
  MAX_WAITING: Type.Integer({ default: 1_000, minimum: 0 }),
  /** How long they may. */
  WAIT_SECONDS: Type.Number({ default: 55, exclusiveMinimum: 0 }),
  /** How long a replica may take to answer. */
  REQUEST_SECONDS: Type.Number({ default: 240, exclusiveMinimum: 0 }),
  /** How often a replica is asked whether it takes requests. */
  PROBE_SECONDS: Type.Number({ default: 2, exclusiveMinimum: 0 }),
  /** How long a replica that is told to end may take. */
  GRACE_SECONDS: Type.Number({ default: 30, minimum: 0 })
})

export interface Config extends Static<typeof Settings> {
  /** The environment of a replica, but for its port. */
  replica: NodeJS.ProcessEnv
}

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const config = loadSettings(Settings, env)
  const replica = Object.fromEntries(Object.entries(env).filter(([name]) => !(name in Settings.properties)))
  return { ...config, APP_MODULE: resolve(config.APP_MODULE), replica: { ...replica, HOST: '127.0.0.1', LOG_LEVEL: config.LOG_LEVEL } }
}
