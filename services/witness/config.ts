import { Type } from 'typebox'
import {
  DrainSettings, KeyVaultSettings, loadWithSecrets, ServerSettings, SettingsError, TelemetrySettings
} from '#common/config.ts'
import { AllowListSettings } from '#common/guard/allow-list.ts'
import { WITNESS_NAME } from '#common/transparency/names.ts'
import { NoteError, parseVerifierKey } from '#common/transparency/notes.ts'

const container = (name: string) => Type.String({ default: name, pattern: '^[a-z0-9](-?[a-z0-9]){2,62}$' })

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  /** Everybody by default: a checkpoint proves who sends it by its signature. */
  ALLOWED_CALLERS: Type.String({ format: 'cidrs', default: '0.0.0.0/0,::/0' }),
  /** Requests a minute that one address may send. */
  RATE_LIMIT: Type.Integer({ default: 600, minimum: 1 }),
  WITNESS_NAME: Type.String({ default: WITNESS_NAME, pattern: '^[^\\s+]{1,255}$' }),
  /** The public keys of the logs, separated by white space; of the keys of one log, the oldest is first. */
  LOGS: Type.String({ minLength: 1 }),
  /**
   * The largest tree with which a log may begin of which nothing is stored: somebody may have deleted the
   * state of a larger one.
   */
  FIRST_SIZE: Type.Integer({ default: 10_000, minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** The directory of the state and the checkpoints, or the URL of a storage account. */
  STORE_DIR: Type.Optional(Type.String({ minLength: 1 })),
  STORE_URL: Type.Optional(Type.String({ format: 'https-url' })),
  STATE_CONTAINER: container('state'),
  CHECKPOINT_CONTAINER: container('checkpoints'),
  AZURE_CLIENT_ID: KeyVaultSettings.AZURE_CLIENT_ID
})

const secrets = { 'witness-key': 'key-256' } as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const settings = loadWithSecrets(Settings, secrets, env)
  if ((settings.STORE_DIR === undefined) === (settings.STORE_URL === undefined)) {
    throw new SettingsError('Settings: one of STORE_DIR and STORE_URL must be set')
  }
  return { ...settings, logs: settings.LOGS.trim().split(/\s+/).map(parseLogKey) }
}

function parseLogKey (vkey: string) {
  try {
    const key = parseVerifierKey(vkey)
    if (!key.isCosigner) return key
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
  }
  throw new SettingsError('Settings: LOGS must be public keys <name>+<key id>+<base64> of logs')
}
