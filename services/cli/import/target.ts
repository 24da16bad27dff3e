import { join } from 'node:path'
import { answers } from '../../emulators/processes/probes.ts'
import { readSecrets } from '../../emulators/vault/store.ts'
import { readRun, StartError } from '../system/state.ts'

/**
 * The gateway to store in: the one at `gateway`, or that of the system which runs from `localDir`.
 *
 * @throws {StartError} no system runs, or there is no subscription key for the gateway
 */
export async function findTarget (
  gateway: string | undefined, key: string | undefined, localDir: string
) {
  if (gateway !== undefined) {
    if (!key) throw new StartError('--gateway requires --key or SUBSCRIPTION_KEY')
    return { url: gateway, key }
  }
  const url = await runningGateway(localDir)
  if (url === undefined) throw new StartError('nothing runs here; npm start first, or use --gateway')
  const secrets = readSecrets(join(localDir, 'vault'), join(localDir, 'unseal-key'))
  const { key: ofClient } = JSON.parse(secrets.get('gateway-subscription-keys')!)['local-client']
  return { url, key: key ?? ofClient as string }
}

async function runningGateway (localDir: string) {
  try {
    const { gateway: { url } } = readRun(localDir)
    return await answers(`${url}/status-0123456789abcdef`) ? url : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
