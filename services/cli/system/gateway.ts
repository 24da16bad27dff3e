import { join } from 'node:path'
import { answers } from '../../emulators/processes/probes.ts'
import { readSecrets } from '../../emulators/vault/store.ts'
import { readRun } from './state.ts'

/**
 * The URL of the gateway of the system that runs from `dir`, and the subscription key of its product
 * `client`; undefined if no system runs from there.
 */
export async function runningGateway (dir: string) {
  let url: string
  try {
    url = readRun(dir).gateway.url
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if (!await answers(`${url}/status-0123456789abcdef`)) return undefined
  const secrets = readSecrets(join(dir, 'vault'), join(dir, 'unseal-key'))
  const { key } = JSON.parse(secrets.get('gateway-subscription-keys')!)['local-client'] as { key: string }
  return { url, key }
}
