import { Type, type Static } from 'typebox'
import { ServerSettings, SettingsError, loadSettings } from '#common/config.ts'
import { Subscriptions } from './subscriptions.ts'

const Settings = Type.Object({
  ...ServerSettings,
  PATIENT_URL: Type.String({ format: 'http-url' }),
  PATIENT_HOST_KEY: Type.String({ minLength: 1 }),
  GATEWAY_SUBSCRIPTION_KEYS: Type.String(),
  /** Calls a minute that a subscription may make; 0 is no limit. */
  RATE_LIMIT: Type.Integer({ default: 0, minimum: 0 }),
  /** How long the service may take to answer. */
  TIMEOUT_MS: Type.Integer({ default: 60_000, minimum: 1 })
})

export interface Config extends Omit<Static<typeof Settings>, 'GATEWAY_SUBSCRIPTION_KEYS'> {
  subscriptions: Subscriptions
}

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const { GATEWAY_SUBSCRIPTION_KEYS, ...settings } = loadSettings(Settings, env)
  return { ...settings, subscriptions: parseSubscriptions(GATEWAY_SUBSCRIPTION_KEYS) }
}

function parseSubscriptions (keys: string) {
  try {
    return new Subscriptions(JSON.parse(keys))
  } catch (error) {
    // The parser's own message quotes its input
    const problem = error instanceof TypeError ? error.message : 'must be JSON'
    throw new SettingsError(`Settings: GATEWAY_SUBSCRIPTION_KEYS ${problem}`)
  }
}
