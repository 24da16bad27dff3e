import type { IncomingMessage, RequestOptions } from 'node:http'
import { text } from 'node:stream/consumers'

// Not imported: that would load all that these modules offer, an HTTP client of 30 ms among it
const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

const VAULT_API = '7.4'
const IDENTITY_API = '2019-08-01'
/** So long before it expires, a token is not used any more. */
const RENEWAL_MS = 300_000

/** As whom a vault is opened, where the platform hands out tokens. */
export interface ManagedIdentity {
  AZURE_CLIENT_ID: string
  IDENTITY_ENDPOINT: string
  IDENTITY_HEADER: string
}

/** A version of a secret, as the REST interface of Key Vault tells it; times are in seconds. */
export interface SecretBundle {
  id: string
  value?: string
  attributes: { created?: number, nbf?: number, exp?: number }
  tags?: Record<string, string>
}

/** What a vault or the endpoint of identities answered where it did not do what it was asked. */
export class VaultError extends Error {
  override name = 'VaultError'
  readonly statusCode: number
  readonly details: unknown

  constructor (statusCode: number, details: unknown) {
    super(`It was answered ${statusCode}`)
    this.statusCode = statusCode
    this.details = details
  }
}

/**
 * Reads secrets as a managed identity, over the REST interfaces of Key Vault and of Container Apps. The SDK of Azure
 * does the same, and takes longer to load than all else that a service starts with.
 */
export class VaultClient {
  #uri: string
  #identity: ManagedIdentity
  #token: Promise<string> | undefined
  #renewAt = Infinity

  constructor (uri: string, identity: ManagedIdentity) {
    this.#uri = uri.replace(/\/$/, '')
    this.#identity = identity
  }

  /**
   * The version `version` of a secret, or the newest.
   *
   * @throws {VaultError} where the vault refuses
   */
  async getSecret (name: string, version: string | undefined, signal: AbortSignal): Promise<SecretBundle> {
    const url = `${this.#uri}/secrets/${name}/${version ?? ''}?api-version=${VAULT_API}`
    for (let attempt = 0; ; attempt++) {
      const token = this.#currentToken(signal)
      const { statusCode, body } = await get(url, { authorization: `Bearer ${await token}` }, signal)
      if (statusCode === 200) return body as SecretBundle
      // It was taken back, or keys of its issuer changed
      if (statusCode === 401 && this.#token === token) this.#token = undefined
      if (statusCode !== 401 || attempt > 0) throw new VaultError(statusCode, body)
    }
  }

  #currentToken (signal: AbortSignal) {
    if (!this.#token || Date.now() > this.#renewAt) {
      const token = this.#token = this.#newToken(signal)
      token.catch(() => { if (this.#token === token) this.#token = undefined })
    }
    return this.#token
  }

  async #newToken (signal: AbortSignal) {
    const { AZURE_CLIENT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER } = this.#identity
    this.#renewAt = Infinity
    const url = new URL(IDENTITY_ENDPOINT)
    url.searchParams.set('api-version', IDENTITY_API)
    url.searchParams.set('resource', resourceOf(this.#uri))
    url.searchParams.set('client_id', AZURE_CLIENT_ID)
    const { statusCode, body } = await get(url.href, { 'x-identity-header': IDENTITY_HEADER }, signal)
    if (statusCode !== 200) throw new VaultError(statusCode, undefined)
    const { access_token: token, expires_on: expires } = body as { access_token: string, expires_on: string | number }
    this.#renewAt = Number(expires) * 1_000 - RENEWAL_MS
    return token
  }
}

/** What tokens for the vault at `uri` are for: its host's domain, in every cloud. */
function resourceOf (uri: string) {
  const { hostname } = new URL(uri)
  return `https://${hostname.slice(hostname.indexOf('.') + 1)}`
}

async function get (url: string, headers: Record<string, string>, signal: AbortSignal) {
  const options: RequestOptions = { headers: { ...headers, accept: 'application/json' }, signal }
  const { request } = url.startsWith('https:') ? https : http
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, options, resolve).once('error', reject).end()
  })
  const body = await text(response)
  return { statusCode: response.statusCode!, body: parsed(body) }
}

// The parser's own message could quote a secret
function parsed (body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
