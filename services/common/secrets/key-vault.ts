import type { SecretClient } from '@azure/keyvault-secrets'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { azureCredential } from './azure-credential.ts'
import { isWellFormed, settingOf, SettingsError, type SecretSettings, type VaultSource } from '../config.ts'
import { firstLook, type ReadSecret } from './first-look.ts'
import { KeysUnavailable } from '../http/problems.ts'
import { READ_MS, Secret, type ReadVersion, type Secrets } from './secrets.ts'
import { recordDependency, now } from '../telemetry/operation.ts'
import { STARTING_MS, withTimeout } from '../with-timeout.ts'

interface VaultSettings {
  KEY_VAULT_URI: string
  AZURE_CLIENT_ID?: string
}

/** A client of the vault, as the managed identity of AZURE_CLIENT_ID or else as the developer who is logged in. */
export async function openKeyVault ({ KEY_VAULT_URI, AZURE_CLIENT_ID }: VaultSettings, maxRetries?: number): Promise<SecretClient> {
  const [credential, { SecretClient }] = await Promise.all([azureCredential(AZURE_CLIENT_ID), import('@azure/keyvault-secrets')])
  return new SecretClient(KEY_VAULT_URI, credential, { retryOptions: { maxRetries } })
}

declare module 'fastify' {
  interface FastifyInstance { secrets: AppSecrets }
}

/** The secrets of an app, each of them kept up to date until the app closes. */
export class AppSecrets implements Secrets {
  #settings: SecretSettings
  #log: FastifyBaseLogger
  #first: ReadSecret | undefined
  #vault: ReadSecret | undefined
  #opened: Array<Secret<unknown>> = []

  constructor (settings: SecretSettings, log: FastifyBaseLogger) {
    this.#settings = settings
    this.#log = log
    if (!isVault(settings.source)) return
    this.#first = firstLook(settings.source)
    this.#vault = sdkReader(settings.source)
  }

  open<T> (name: string, use: (value: string) => T, most?: number): Secret<T> {
    const { source } = this.#settings
    if (!isVault(source)) requireUsable(name, source[name]!, use)
    const secret = new Secret<T>({
      name,
      read: isVault(source) ? this.#reader(name) : async () => ({ id: 'setting', value: source[name]!, enabled: true }),
      derive: (value) => {
        if (!isWellFormed(this.#settings, name, value)) throw new TypeError()
        return use(value)
      },
      refreshSeconds: isVault(source) ? source.KEY_REFRESH_SECONDS : Infinity,
      rotationDays: isVault(source) ? source.KEY_ROTATION_DAYS : Infinity,
      maxVersions: most,
      log: this.#log
    })
    this.#opened.push(secret)
    return secret
  }

  /** Whether a version of each is known. */
  get loaded () {
    return this.#opened.every((secret) => secret.isLoaded)
  }

  /** Fulfilled once a version of each is known. */
  allLoaded () {
    return Promise.all(this.#opened.map((secret) => secret.loaded))
  }

  /** The versions in force of each. */
  describe () {
    return this.#opened.map((secret) => ({ name: secret.name, versions: secret.describe() }))
  }

  close () {
    for (const secret of this.#opened) secret.close()
  }

  async #read (name: string, id: string | undefined, signal: AbortSignal) {
    if (this.#first && !this.loaded) {
      try {
        return await this.#first(name, id, signal)
      } catch {
        // The SDK does the same, knows more ways, and tells why where it fails too
        this.#first = undefined
      }
    }
    return await this.#vault!(name, id, signal)
  }

  #reader (name: string): ReadVersion {
    return async (id) => {
      const start = now()
      let failed = true
      try {
        const version = await this.#read(name, id, AbortSignal.timeout(READ_MS))
        failed = false
        return version
      } catch (error) {
        if (isDisabled(error) || isMissing(error)) return { id: id ?? '', value: '', enabled: false }
        throw error
      } finally {
        recordDependency(`GET /secrets/${name}`, start, failed, { 'http.request.method': 'GET', 'server.address': 'key vault' })
      }
    }
  }
}

/** Reads secrets with the SDK, which is loaded when it is first needed. */
function sdkReader (source: VaultSource): ReadSecret {
  let opening: Promise<SecretClient> | undefined
  return async (name, id, abortSignal) => {
    opening ??= openKeyVault(source, 0)
    const client = await opening
    const { value = '', properties: { version, createdOn, notBefore, expiresOn, tags } } = await client.getSecret(name, { version: id, abortSignal })
    return { id: version!, value, enabled: true, createdOn, notBefore, expiresOn, previous: tags?.previous }
  }
}

/** Decorates the app with its `secrets`. */
export const secrets = fp<{ settings: SecretSettings }>(async (app, { settings }) => {
  const secrets = new AppSecrets(settings, app.log)
  app.decorate('secrets', secrets)
  app.addHook('onClose', async () => secrets.close())
}, { name: 'secrets' })

/** A hook that lets requests wait, while the service starts, until its keys are known, as long as their caller does. */
export function secretsLoaded ({ server: { secrets } }: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) {
  if (secrets.loaded) done()
  else withTimeout(STARTING_MS - reply.elapsedTime, secrets.allLoaded(), () => new KeysUnavailable()).then(() => done(), done)
}

export function isVault (source: SecretSettings['source']): source is VaultSource {
  return 'KEY_VAULT_URI' in source
}

// A start with a wrong setting must end, where one with a wrong secret waits for a right one
function requireUsable (name: string, value: string, use: (value: string) => unknown) {
  try {
    use(value)
  } catch (error) {
    // Any other message could quote the value
    throw new SettingsError(`Settings: ${settingOf(name)} ${error instanceof SettingsError ? error.message : 'cannot be used'}`)
  }
}

/** Whether a version is disabled, which an error alone tells. Source: the error responses of the REST reference, Get Secret. */
export function isDisabled (error: unknown) {
  const { statusCode, details } = error as { statusCode?: number, details?: { error?: { innerError?: { code?: string } } } }
  return statusCode === 403 && details?.error?.innerError?.code === 'SecretDisabled'
}

/** Whether there is no such secret, or no such version of it. */
export function isMissing (error: unknown) {
  return (error as { statusCode?: number }).statusCode === 404
}
