import type { SecretClient } from '@azure/keyvault-secrets'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { azureCredential } from './azure-credential.ts'
import { isWellFormed, settingOf, SettingsError, type SecretSettings, type VaultSource } from './config.ts'
import { STARTING_MS } from './database.ts'
import { KeysUnavailable } from './problems.ts'
import { READ_MS, Secret, type ReadVersion, type Secrets, type StoredVersion } from './secrets.ts'
import { called, now } from './telemetry/operation.ts'
import { VaultClient, type ManagedIdentity } from './vault-client.ts'
import { within } from './within.ts'

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
  #vault: ReadSecret | undefined
  #opened: Array<Secret<unknown>> = []

  constructor (settings: SecretSettings, log: FastifyBaseLogger) {
    this.#settings = settings
    this.#log = log
    if (isVault(settings.source)) this.#vault = isOfIdentity(settings.source) ? readerAs(settings.source) : readerOfDeveloper(settings.source)
  }

  secret<T> (name: string, use: (value: string) => T, most?: number): Secret<T> {
    const { source } = this.#settings
    if (!isVault(source)) requireUsable(name, source[name]!, use)
    const secret = new Secret<T>({
      name,
      read: isVault(source) ? this.#reader(name) : async () => ({ id: 'setting', value: source[name]!, enabled: true }),
      use: (value) => {
        if (!isWellFormed(this.#settings, name, value)) throw new TypeError()
        return use(value)
      },
      refreshSeconds: isVault(source) ? source.KEY_REFRESH_SECONDS : Infinity,
      rotationDays: isVault(source) ? source.KEY_ROTATION_DAYS : Infinity,
      most,
      log: this.#log
    })
    this.#opened.push(secret)
    return secret
  }

  /** Whether a version of each is known. */
  get known () {
    return this.#opened.every((secret) => secret.isKnown)
  }

  /** Fulfilled once a version of each is known. */
  allKnown () {
    return Promise.all(this.#opened.map((secret) => secret.known))
  }

  /** The versions in force of each. */
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
        const version = await this.#vault!(name, id, AbortSignal.timeout(READ_MS))
        failed = false
        return version
      } catch (error) {
        if (isDisabled(error) || isMissing(error)) return { id: id ?? '', value: '', enabled: false }
        throw error
      } finally {
        called(`GET /secrets/${name}`, start, failed, { 'http.request.method': 'GET', 'server.address': 'key vault' })
      }
    }
  }
}

type ReadSecret = (name: string, id: string | undefined, signal: AbortSignal) => Promise<StoredVersion>

function isOfIdentity (source: VaultSource): source is VaultSource & ManagedIdentity {
  return source.AZURE_CLIENT_ID !== undefined && source.IDENTITY_ENDPOINT !== undefined && source.IDENTITY_HEADER !== undefined
}

function readerAs (source: VaultSource & ManagedIdentity): ReadSecret {
  const client = new VaultClient(source.KEY_VAULT_URI, source)
  const date = (seconds?: number) => seconds === undefined ? undefined : new Date(seconds * 1_000)
  return async (name, version, signal) => {
    const { id, value = '', attributes: { created, nbf, exp }, tags } = await client.getSecret(name, version, signal)
    return { id: id.split('/').at(-1)!, value, enabled: true, createdOn: date(created), notBefore: date(nbf), expiresOn: date(exp), previous: tags?.previous }
  }
}

/** Without a managed identity, there are many ways to log in, and the SDK knows them. */
function readerOfDeveloper (source: VaultSource): ReadSecret {
  const opening = openKeyVault(source, 0)
  // What goes wrong here is told where a secret is read
  opening.catch(() => {})
  return async (name, id, abortSignal) => {
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
export async function secretsKnown ({ server: { secrets } }: FastifyRequest, reply: FastifyReply) {
  if (!secrets.known) await within(STARTING_MS - reply.elapsedTime, secrets.allKnown(), () => new KeysUnavailable())
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
  const { statusCode, details } = error as { statusCode?: number, details?: { error?: Record<'innererror' | 'innerError', { code?: string } | undefined> } }
  // The SDK renames it
  const inner = details?.error?.innererror ?? details?.error?.innerError
  return statusCode === 403 && inner?.code === 'SecretDisabled'
}

/** Whether there is no such secret, or no such version of it. */
export function isMissing (error: unknown) {
  return (error as { statusCode?: number }).statusCode === 404
}
