import type { TokenCredential } from '@azure/identity'
import { request as send } from 'undici'
import { azureCredential } from '#common/secrets/azure-credential.ts'
import { recordDependency, now } from '#common/telemetry/operation.ts'
import { PolicyResponse, type SendRequest } from './exchange.ts'

/** The resource of every vault of Azure's public cloud. */
const AZURE_VAULTS = 'https://vault.azure.net'

/** Sends a send-request with a token of the managed identity. */
export function sender (): SendRequest {
  const credentials = new Map<string, Promise<TokenCredential>>()
  return async ({ url, method, resource, clientId, timeoutMs }) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const open = () => azureCredential(clientId || undefined)
    const credential = await credentials.getOrInsertComputed(clientId, open)
    const token = await credential.getToken(`${resourceOf(resource, url)}/.default`, { abortSignal: signal })
    const headers = { authorization: `Bearer ${token!.token}` }
    const start = now()
    let failed = true
    try {
      // On a new connection: a kept one may be to a vault that has ended
      const { statusCode, body } = await send(url, { method: method as 'GET', headers, signal, reset: true })
      failed = statusCode >= 400
      return new PolicyResponse(statusCode, await body.text())
    } finally {
      // Without the version of the secret
      const path = new URL(url).pathname.split('/').slice(0, 3).join('/')
      const attributes = { 'http.request.method': method, 'server.address': 'key vault' }
      recordDependency(`${method} ${path}`, start, failed, attributes)
    }
  }
}

/** A vault in this process, which has the secrets from the settings. */
export function settingsVault (secrets: Record<string, string>): SendRequest {
  return async ({ url }) => {
    const [, , name = ''] = new URL(url).pathname.split('/')
    return new PolicyResponse(200, JSON.stringify({ value: secrets[name], attributes: {} }))
  }
}

/** The resource of the vault at `url`: outside of Azure the parent domain of the vault, as SDKs require. */
function resourceOf (resource: string, url: string) {
  const { hostname } = new URL(url)
  if (resource !== AZURE_VAULTS || hostname.endsWith('.vault.azure.net')) return resource
  return `https://${hostname.slice(hostname.indexOf('.') + 1)}`
}
