import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { VaultSource } from '../config.ts'
import type { StoredVersion } from './versions.ts'

const VAULT_API = '7.4'
const IDENTITY_API = '2019-08-01'

type IdentitySetting = 'AZURE_CLIENT_ID' | 'IDENTITY_ENDPOINT' | 'IDENTITY_HEADER'
type ManagedIdentity = Required<Pick<VaultSource, IdentitySetting>>

/** A version of a secret in Key Vault's REST API; times are in seconds. */
interface SecretBundle {
  id: string
  value: string
  attributes: { created?: number, nbf?: number, exp?: number }
  tags?: Record<string, string>
}

/** Reads the version `id` of a secret, or the newest. */
export type ReadSecret = (name: string, id: string | undefined, signal: AbortSignal) => Promise<StoredVersion>

/**
 * Reads the first secrets of a process as its managed identity, by the REST APIs of Key Vault and Container
 * Apps; undefined without a managed identity. Waiting for the SDK would add 80 to 90 ms to a cold start.
 */
export function initialRead (source: VaultSource): ReadSecret | undefined {
  const { KEY_VAULT_URI } = source
  if (!hasIdentity(source)) return undefined
  let token: Promise<string> | undefined
  return async (name, version, signal) => {
    token ??= requestToken(source, resourceOf(KEY_VAULT_URI), signal)
    const url = new URL(`/secrets/${name}/${version ?? ''}?api-version=${VAULT_API}`, KEY_VAULT_URI).href
    const { id, value, attributes, tags } =
      await get<SecretBundle>(url, { authorization: `Bearer ${await token}` }, signal)
    return {
      id: id.split('/').at(-1)!,
      value,
      enabled: true,
      createdOn: date(attributes.created),
      notBefore: date(attributes.nbf),
      expiresOn: date(attributes.exp),
      previous: tags?.previous
    }
  }
}

function hasIdentity (source: VaultSource): source is VaultSource & ManagedIdentity {
  const { AZURE_CLIENT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER } = source
  return [AZURE_CLIENT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER].every((setting) => setting !== undefined)
}

async function requestToken (identity: ManagedIdentity, resource: string, signal: AbortSignal) {
  const url = new URL(identity.IDENTITY_ENDPOINT)
  url.searchParams.set('api-version', IDENTITY_API)
  url.searchParams.set('resource', resource)
  url.searchParams.set('client_id', identity.AZURE_CLIENT_ID)
  const headers = { 'x-identity-header': identity.IDENTITY_HEADER }
  return (await get<{ access_token: string }>(url.href, headers, signal)).access_token
}

/** The resource of tokens for the vault at `uri`: the domain of its host, in every cloud. */
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
  if (response.statusCode !== 200) throw new Error(`The response has status ${response.statusCode}`)
  return JSON.parse(body)
}

const date = (seconds: number | undefined) => seconds === undefined ? undefined : new Date(seconds * 1_000)
