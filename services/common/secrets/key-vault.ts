import type { SecretClient } from '@azure/keyvault-secrets'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { azureCredential } from './azure-credential.ts'
import { isWellFormed, settingOf, SettingsError, type SecretSettings, type VaultSource } from '../config.ts'
import { KeysUnavailable } from '../http/problems.ts'
import { initialRead, type ReadSecret } from './initial-read.ts'
import { READ_MS, Secret, type ReadVersion, type Secrets } from './secrets.ts'
import { recordDependency, now } from '../telemetry/operation.ts'
import { STARTING_MS, withTimeout } from '../with-timeout.ts'

type VaultSettings = Pick<VaultSource, 'KEY_VAULT_URI' | 'AZURE_CLIENT_ID'>

/** A client of Key Vault, as the managed identity AZURE_CLIENT_ID or else with the developer's own login. */
export async function openKeyVault (settings: VaultSettings, maxRetries?: number): Promise<SecretClient> {
  const { KEY_VAULT_URI, AZURE_CLIENT_ID } = settings
  const [credential, { SecretClient }] =
    await Promise.all([azureCredential(AZURE_CLIENT_ID), import('@azure/keyvault-secrets')])
  return new SecretClient(KEY_VAULT_URI, credential, { retryOptions: { maxRetries } })
}

declare module 'fastify' {
  interface FastifyInstance { secrets: AppSecrets }
}

/** The secrets of an app, each kept up to date until the app closes. */
export class AppSecrets implements Secrets {
  #settings: SecretSettings
  #log: FastifyBaseLogger
  #initialRead: ReadSecret | undefined
  #readWithSdk: ReadSecret | undefined
  #opened: Array<Secret<unknown>> = []

  constructor (settings: SecretSettings, log: FastifyBaseLogger) {
    this.#settings = settings
    this.#log = log
    if (!isVault(settings.source)) return
    this.#initialRead = initialRead(settings.source)
    this.#readWithSdk = sdkReader(settings.source)
  }

  open<T> (name: string, derive: (value: string) => T, maxVersions?: number): Secret<T> {
    const { source } = this.#settings
    if (!isVault(source)) requireUsable(name, source[name]!, derive)
    const secret = new Secret<T>({
      name,
      read: isVault(source)
        ? this.#reader(name)
        : async () => ({ id: 'setting', value: source[name]!, enabled: true }),
      derive: (value) => {
        if (!isWellFormed(this.#settings, name, value)) throw new TypeError()
        return derive(value)
      },
      refreshSeconds: isVault(source) ? source.KEY_REFRESH_SECONDS : Infinity,
      rotationDays: isVault(source) ? source.KEY_ROTATION_DAYS : Infinity,
      maxVersions,
      log: this.#log
    })
    this.#opened.push(secret)
    return secret
  }

  /** Whether a version of each secret is cached. */
  get loaded () {
    return this.#opened.every((secret) => secret.isLoaded)
  }

  /** Fulfilled once a version of each secret is cached. */
  allLoaded () {
    return Promise.all(this.#opened.map((secret) => secret.loaded))
  }

  /** The valid versions of each secret. */
  describe () {
    return this.#opened.map((secret) => ({ name: secret.name, versions: secret.describe() }))
  }

  close () {
    for (const secret of this.#opened) secret.close()
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
        const attributes = { 'http.request.method': 'GET', 'server.address': 'key vault' }
        recordDependency(`GET /secrets/${name}`, start, failed, attributes)
      }
    }
  }

  async #read (name: string, id: string | undefined, signal: AbortSignal) {
    if (this.#initialRead && !this.loaded) {
      try {
        return await this.#initialRead(name, id, signal)
      } catch {
        // The SDK handles more cases, and reports why it fails
        this.#initialRead = undefined
      }
    }
    return await this.#readWithSdk!(name, id, signal)
  }
}

/** Reads secrets with the SDK, which is loaded at the first call. */
function sdkReader (source: VaultSource): ReadSecret {
  let opening: Promise<SecretClient> | undefined
  return async (name, id, abortSignal) => {
    opening ??= openKeyVault(source, 0)
    const client = await opening
    const { value = '', properties } = await client.getSecret(name, { version: id, abortSignal })
    const { version, createdOn, notBefore, expiresOn, tags } = properties
    return { id: version!, value, enabled: true, createdOn, notBefore, expiresOn, previous: tags?.previous }
  }
}

/** Decorates the app with its `secrets`. */
export const secrets = fp<{ settings: SecretSettings }>(async (app, { settings }) => {
  const secrets = new AppSecrets(settings, app.log)
  app.decorate('secrets', secrets)
  app.addHook('onClose', async () => secrets.close())
}, { name: 'secrets' })

/** A hook that delays the requests of a service that starts until its secrets are loaded, or answers 503. */
export function secretsLoaded (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) {
  const { secrets } = request.server
  if (secrets.loaded) return done()
  const timeLeft = STARTING_MS - reply.elapsedTime
  withTimeout(timeLeft, secrets.allLoaded(), () => new KeysUnavailable()).then(() => done(), done)
}

export function isVault (source: SecretSettings['source']): source is VaultSource {
  return 'KEY_VAULT_URI' in source
}

// A malformed setting ends the start; a malformed secret in Key Vault is waited for to be corrected
function requireUsable (name: string, value: string, derive: (value: string) => unknown) {
  try {
    derive(value)
  } catch (error) {
    // Any other message could quote the value
    const problem = error instanceof SettingsError ? error.message : 'cannot be used'
    throw new SettingsError(`Settings: ${settingOf(name)} ${problem}`)
  }
}

/** Whether Key Vault refused to read a version because it is disabled. Source: REST reference, Get Secret. */
export function isDisabled (error: unknown) {
  const { statusCode, details } = error as VaultResponseError
  return statusCode === 403 && details?.error?.innerError?.code === 'SecretDisabled'
}

/** Whether the secret, or the version of it, does not exist. */
export function isMissing (error: unknown) {
  return (error as VaultResponseError).statusCode === 404
}

interface VaultResponseError {
  statusCode?: number
  details?: { error?: { innerError?: { code?: string } } }
}
