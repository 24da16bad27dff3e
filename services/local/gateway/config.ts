import { Type } from 'typebox'
import { DrainSettings, ServerSettings, TelemetrySettings, loadWithSecrets } from '#common/config.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  PATIENT_URL: Type.String({ format: 'http-url' }),
  /** Calls a minute that a subscription may make; 0 is no limit. */
  RATE_LIMIT: Type.Integer({ default: 0, minimum: 0 }),
  /** How long the service may take to answer. */
  TIMEOUT_MS: Type.Integer({ default: 60_000, minimum: 1 })
})

const secrets = { 'patient-host-key': 'host-key', 'gateway-subscription-keys': 'json' } as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv) => loadWithSecrets(Settings, secrets, env)
