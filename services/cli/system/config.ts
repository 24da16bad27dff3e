import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { KeyRefreshSettings, ServerSettings, TelemetrySettings, loadSettings } from '#common/config.ts'
import { ScaleSettings } from '../../emulators/ingress/config.ts'

const Settings = Type.Object({
  /** Of the gateway, on 127.0.0.1; 0 is a free one. */
  PORT: ServerSettings.PORT,
  LOG_LEVEL: ServerSettings.LOG_LEVEL,
  /** Of the product `client`, instead of the one made at random. */
  SUBSCRIPTION_KEY: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{1,256}$' })),
  /** Calls a minute that a subscription may make; 0 is no limit. */
  RATE_LIMIT: Type.Integer({ default: 0, minimum: 0 }),
  /** Origins of web pages that may call the gateway, separated by commas. */
  CORS_ORIGINS: Type.Optional(Type.String()),
  /** A MongoDB server for both services, instead of the embedded one; or one for each. */
  MONGODB_URI: Type.Optional(Type.String({ format: 'mongodb-uri' })),
  PATIENT_DB_CONNECTION: Type.Optional(Type.String({ format: 'mongodb-uri' })),
  AUDIT_DB_CONNECTION: Type.Optional(Type.String({ format: 'mongodb-uri' })),
  /** What the names of both databases begin with. */
  DATABASE_PREFIX: Type.String({ default: '', pattern: '^[A-Za-z0-9_-]{0,40}$' }),
  ...TelemetrySettings,
  /** Whether operations are shown on a page of this machine, where APPLICATIONINSIGHTS_CONNECTION_STRING names no other. */
  MONITOR: Type.Enum(['on', 'off'], { default: 'on' }),
  /** Of that page, on 127.0.0.1; 0 is a free one. */
  MONITOR_PORT: Type.Integer({ default: 8081, minimum: 0, maximum: 65535 }),
  KEY_REFRESH_SECONDS: KeyRefreshSettings.KEY_REFRESH_SECONDS,
  /** With --scale-to-zero. */
  ...ScaleSettings,
  /** Where docker/bundle.ts has put bundles of both services, which run in the place of their sources. */
  BUNDLE_DIR: Type.Optional(Type.String({ minLength: 1 })),
  /** Where keys and data live. */
  LOCAL_DIR: Type.String({ default: resolve(import.meta.dirname, '../../../.local') })
})

export type Config = Static<typeof Settings>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const config = loadSettings(Settings, env)
  return { ...config, LOCAL_DIR: resolve(config.LOCAL_DIR), ...(config.BUNDLE_DIR && { BUNDLE_DIR: resolve(config.BUNDLE_DIR) }) }
}
