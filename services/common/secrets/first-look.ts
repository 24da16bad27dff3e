import type { IncomingMessage, RequestOptions } from 'node:http'
import { text } from 'node:stream/consumers'
import type { VaultSource } from '../config.ts'
import type { StoredVersion } from './secrets.ts'

// Not imported: that would load all that these modules offer, an HTTP client of 30 ms among it
const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

const VAULT_API = '7.4'
const IDENTITY_API = '2019-08-01'

/** As whom a vault is opened, where the platform hands out tokens. */
interface ManagedIdentity {
  AZURE_CLIENT_ID: string
  IDENTITY_ENDPOINT: string
  IDENTITY_HEADER: string
}

/** A version of a secret, as Key Vault tells it; times are in seconds. */
interface SecretBundle {
  id: string
  value: string
  attributes: { created?: number, nbf?: number, exp?: number }
  tags?: Record<string, string>
}

/** Tells the version `id` of a secret, or the newest. */
export type ReadSecret = (name: string, id: string | undefined, signal: AbortSignal) => Promise<StoredVersion>

/**
 * How a managed identity reads the first secrets of a process, over the REST interfaces of Key Vault and Container Apps;
 * nothing where there is none. A start would wait for the SDKs of Azure for longer than for all else, so that they
 * are loaded for what follows, and for all that does not go well here.
 */
export function firstLook (source: VaultSource): ReadSecret | undefined {
  const { KEY_VAULT_URI } = source
  if (!hasIdentity(source)) return undefined
  let token: Promise<string> | undefined
  return async (name, version, signal) => {
    token ??= askForToken(source, resourceOf(KEY_VAULT_URI), signal)
    const url = `${KEY_VAULT_URI.replace(/\/$/, '')}/secrets/${name}/${version ?? ''}?api-version=${VAULT_API}`
    const { id, value, attributes: { created, nbf, exp }, tags } = await get<SecretBundle>(url, { authorization: `Bearer ${await token}` }, signal)
    return { id: id.split('/').at(-1)!, value, enabled: true, createdOn: date(created), notBefore: date(nbf), expiresOn: date(exp), previous: tags?.previous }
  }
}

function hasIdentity (source: VaultSource): source is VaultSource & ManagedIdentity {
  return source.AZURE_CLIENT_ID !== undefined && source.IDENTITY_ENDPOINT !== undefined && source.IDENTITY_HEADER !== undefined
}

async function askForToken ({ AZURE_CLIENT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER }: ManagedIdentity, resource: string, signal: AbortSignal) {
  const url = new URL(IDENTITY_ENDPOINT)
  url.searchParams.set('api-version', IDENTITY_API)
  url.searchParams.set('resource', resource)
  url.searchParams.set('client_id', AZURE_CLIENT_ID)
  return (await get<{ access_token: string }>(url.href, { 'x-identity-header': IDENTITY_HEADER }, signal)).access_token
}

/** What tokens for the vault at `uri` are for: its host's domain, in every cloud. */
function resourceOf (uri: string) {
  const { hostname } = new URL(uri)
  return `https://${hostname.slice(hostname.indexOf('.') + 1)}`
}

async function get<T> (url: string, headers: Record<string, string>, signal: AbortSignal): Promise<T> {
  const options: RequestOptions = { headers: { ...headers, accept: 'application/json' }, signal }
  const { request } = url.startsWith('https:') ? https : http
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, options, resolve).once('error', reject).end()
  })
  const body = await text(response)
  if (response.statusCode !== 200) throw new Error(`It was answered ${response.statusCode}`)
  return JSON.parse(body)
}

const date = (seconds: number | undefined) => seconds === undefined ? undefined : new Date(seconds * 1_000)
