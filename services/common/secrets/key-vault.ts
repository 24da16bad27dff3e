import type { SecretClient } from '@azure/keyvault-secrets'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { azureCredential } from './azure-credential.ts'
import { isWellFormed, settingOf, SettingsError, type SecretSettings, type VaultSource } from '../config.ts'
import { KeysUnavailable } from '../http/problems.ts'
import { initialRead, type ReadSecret } from './initial-read.ts'
import { READ_MS, Secret, type Secrets, type StoredVersion } from './secrets.ts'
import { recordDependency, now } from '../telemetry/operation.ts'
import { STARTING_MS, withTimeout } from '../with-timeout.ts'

/** How long the first read may take until the SDK tries: a connection of a container that starts may hang. */
const INITIAL_READ_MS = 4_000

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
  #opened: Array<Secret<unknown>> = []
  #initialRead: ReadSecret | undefined
  #client: Promise<SecretClient> | undefined

  constructor (settings: SecretSettings, log: FastifyBaseLogger) {
    this.#settings = settings
    this.#log = log
    if (isVault(settings.source)) this.#initialRead = initialRead(settings.source)
  }

  open<T> (
    name: string, derive: (value: string) => T, maxVersions?: number, isRotated?: (value: T) => boolean
  ): Secret<T> {
    const { source } = this.#settings
    const secret = new Secret<T>({
      name,
      read: isVault(source)
        ? (id) => this.#read(source, name, id)
        : settingReader(name, source[name]!, derive),
      derive: (value) => {
        if (!isWellFormed(this.#settings, name, value)) throw new TypeError()
        return derive(value)
      },
      refreshSeconds: isVault(source) ? source.KEY_REFRESH_SECONDS : Infinity,
      rotationDays: isVault(source) ? source.KEY_ROTATION_DAYS : Infinity,
      maxVersions,
      isRotated,
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

  /** Reads a version of a secret and records the call as a dependency. */
  async #read (source: VaultSource, name: string, id: string | undefined): Promise<StoredVersion> {
    const start = now()
    let failed = true
    try {
      const signal = AbortSignal.timeout(READ_MS)
      const initial = this.loaded ? undefined : await this.#readInitially(name, id, signal)
      const version = initial ?? await this.#readWithSdk(source, name, id, signal)
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

  async #readInitially (name: string, id: string | undefined, signal: AbortSignal) {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(INITIAL_READ_MS)])
      return await this.#initialRead?.(name, id, limit)
    } catch {
      // The SDK handles more cases, and reports why it fails
      this.#initialRead = undefined
    }
  }

  async #readWithSdk (source: VaultSource, ...[name, version, abortSignal]: Parameters<ReadSecret>) {
    this.#client ??= openKeyVault(source, 0)
    const { value = '', properties } = await (await this.#client).getSecret(name, { version, abortSignal })
    const { version: id, createdOn, notBefore, expiresOn, tags } = properties
    return { id: id!, value, enabled: true, createdOn, notBefore, expiresOn, previous: tags?.previous }
  }
}

/**
 * Reads a secret that a setting holds. A malformed secret in Key Vault may be corrected, a setting may not.
 *
 * @throws {SettingsError} the value cannot be used
 */
function settingReader (name: string, value: string, derive: (value: string) => unknown) {
  try {
    derive(value)
  } catch (error) {
    // The message of another error could quote the value
    const problem = error instanceof SettingsError ? error.message : 'cannot be used'
    throw new SettingsError(`Settings: ${settingOf(name)} ${problem}`)
  }
  return async () => ({ id: 'setting', value, enabled: true })
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
