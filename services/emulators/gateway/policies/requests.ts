import type { TokenCredential } from '@azure/identity'
import { request as send } from 'undici'
import { azureCredential } from '#common/secrets/azure-credential.ts'
import { recordDependency, now } from '#common/telemetry/operation.ts'
import { PolicyResponse } from './expressions.ts'
import { SETTINGS_VAULT } from './named-values.ts'
import type { Engine } from './exchange.ts'

/** The resource of every vault of Azure's public cloud. */
const AZURE_VAULTS = 'https://vault.azure.net'

export type SendRequest = Engine['request']

/** What a send-request asks, asked with a token of the managed identity. */
export function sender (): SendRequest {
  const credentials = new Map<string, Promise<TokenCredential>>()
  const credentialOf = (clientId: string) => {
    let credential = credentials.get(clientId)
    if (!credential) credentials.set(clientId, credential = azureCredential(clientId || undefined))
    return credential
  }
  return async ({ url, method, resource, clientId, timeoutMs }) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const headers: Record<string, string> = {}
    if (resource !== undefined) {
      const credential = await credentialOf(clientId ?? '')
      const token = await credential.getToken(`${resourceOf(resource, url)}/.default`, { abortSignal: signal })
      headers.authorization = `Bearer ${token!.token}`
    }
    // A connection of its own: one that was kept may be to a vault that has ended since
    const start = now()
    let failed = true
    try {
      const { statusCode, body } = await send(url, { method: method as 'GET', headers, signal, reset: true })
      failed = statusCode >= 400
      return new PolicyResponse(statusCode, await body.text())
    } finally {
      recordDependency(`${method} ${templateOf(url)}`, start, failed, { 'http.request.method': method, 'server.address': 'key vault' })
    }
  }
}

/** The path of a secret without its version. */
function templateOf (url: string) {
  return new URL(url).pathname.split('/').slice(0, 3).join('/')
}

/** A vault in this process, whose only version of the host key is the setting. */
export function settingsVault (hostKey: string): SendRequest {
  return async ({ url }) => url.startsWith(`${SETTINGS_VAULT}/secrets/patient-host-key`)
    ? new PolicyResponse(200, JSON.stringify({ value: hostKey, attributes: { enabled: true } }))
    : new PolicyResponse(404, '{}')
}

/** What a token for the vault at `url` is for. A vault elsewhere than in Azure is below its resource too, as SDKs demand. */
function resourceOf (resource: string, url: string) {
  const { hostname } = new URL(url)
  if (resource !== AZURE_VAULTS || hostname.endsWith('.vault.azure.net')) return resource
  return `https://${hostname.slice(hostname.indexOf('.') + 1)}`
}
