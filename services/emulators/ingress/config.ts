import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { ServerSettings, SettingsError, loadSettings } from '#common/config.ts'

/** How an app is scaled, as the scale rules of Container Apps say it. */
export const ScaleSettings = {
  /** How long replicas that are not needed stay, the last one too: the cool-down of Container Apps. */
  IDLE_SECONDS: Type.Number({ default: 300, exclusiveMinimum: 0 }),
  MAX_REPLICAS: Type.Integer({ default: 4, minimum: 1 }),
  /** Requests at a time that one replica gets before another is started. */
  CONCURRENT_REQUESTS: Type.Integer({ default: 50, minimum: 1 })
}

const Settings = Type.Object({
  ...ServerSettings,
  ...ScaleSettings,
  /** The name of the app in the log. */
  APP_NAME: Type.String({ minLength: 1 }),
  /** The main module of the service, to be started here. Its settings are those that are not named here. */
  APP_MODULE: Type.Optional(Type.String({ minLength: 1 })),
  /** Or else host and port of replicas that run elsewhere: one at each address of the host. */
  APP_ADDRESS: Type.Optional(Type.String({ pattern: '^[\\w.-]+:\\d{1,5}$' })),
  /** How many requests may wait for a replica. */
  MAX_WAITING: Type.Integer({ default: 1_000, minimum: 0 }),
  /** How long they may wait. */
  WAIT_SECONDS: Type.Number({ default: 55, exclusiveMinimum: 0 }),
  /** How long a replica may take to respond. */
  REQUEST_SECONDS: Type.Number({ default: 240, exclusiveMinimum: 0 }),
  /** How often a replica's readiness is probed. */
  PROBE_SECONDS: Type.Number({ default: 2, exclusiveMinimum: 0 }),
  /** How long a replica may take to end. */
  GRACE_SECONDS: Type.Number({ default: 30, minimum: 0 })
})

export interface Config extends Static<typeof Settings> {
  /** The environment of a replica that is started here, but for its port. */
  replica: NodeJS.ProcessEnv
}

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const { APP_MODULE, ...config } = loadSettings(Settings, env)
  if ((APP_MODULE === undefined) === (config.APP_ADDRESS === undefined)) {
    throw new SettingsError('Settings: one of APP_MODULE and APP_ADDRESS must be given')
  }
  const kept = Object.fromEntries(Object.entries(env).filter(([name]) => !(name in Settings.properties)))
  const replica = { ...kept, HOST: '127.0.0.1', LOG_LEVEL: config.LOG_LEVEL }
  return { ...config, ...APP_MODULE !== undefined && { APP_MODULE: resolve(APP_MODULE) }, replica }
}
