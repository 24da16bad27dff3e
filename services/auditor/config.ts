import { Type } from 'typebox'
import {
  DrainSettings, ServerSettings, SettingsError, TelemetrySettings, loadWithSecrets
} from '#common/config.ts'
import { parseVerifierKey } from '#common/transparency/notes.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  /** The gateway, which every question goes through. */
  GATEWAY_URL: Type.String({ format: 'http-url' }),
  /** The monitor that records link to, as a browser reaches it; without it, they have no such link. */
  MONITOR_URL: Type.Optional(Type.String({ format: 'http-url' })),
  /** The public keys of witnesses whose cosignatures the pages check, separated by blanks. */
  WITNESS_KEYS: Type.String({ default: '' }),
  /** Whether browsers send the session over https only. `false` is for pages of this machine. */
  SECURE_COOKIES: Type.Enum(['true', 'false'], { default: 'true' })
})

const secrets = { 'auditor-session-key': 'key-256' } as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const config = loadWithSecrets(Settings, secrets, env)
  return { ...config, witnessKeys: config.WITNESS_KEYS.split(/\s+/).filter(Boolean).map(readKey) }
}

function readKey (vkey: string) {
  try {
    return parseVerifierKey(vkey)
  } catch (error) {
    throw new SettingsError(`Settings: WITNESS_KEYS: ${(error as Error).message}`)
  }
}
