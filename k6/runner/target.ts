import { join } from 'node:path'
import { loadConfig } from '../../services/cli/system/config.ts'
import { answers } from '../../services/emulators/processes/probes.ts'
import { readRun, StartError } from '../../services/cli/system/state.ts'
import { startSystem } from '../../services/test/system.ts'
import { readSecrets } from '../../services/emulators/vault/store.ts'

/** A gateway to put load on. */
export interface Target {
  baseUrl: string
  subscriptionKey: string
  /** Of a system on this machine. */
  localDir?: string
  /** What to say of it. */
  description: string
  /** Ends what was started for this run. */
  stop: () => Promise<unknown>
}

/** How a system is started that is to bear a script. */
const STARTS: Record<string, { env?: NodeJS.ProcessEnv, args?: string[] }> = {
  rotation: { env: { KEY_REFRESH_SECONDS: '1' } },
  spike: { args: ['--scale-to-zero'] }
}

/**
 * The gateway that BASE_URL names, or else that of the system which runs from LOCAL_DIR, or else one that is started now
 * and keeps nothing.
 *
 * @throws {StartError}
 */
export async function findTarget (script: string): Promise<Target> {
  const { BASE_URL: baseUrl, SUBSCRIPTION_KEY: subscriptionKey } = process.env
  if (baseUrl) {
    if (!subscriptionKey) throw new StartError('BASE_URL needs SUBSCRIPTION_KEY beside it')
    return { baseUrl, subscriptionKey, description: 'the gateway of BASE_URL', stop: async () => {} }
  }
  return await runningSystem(loadConfig(process.env).LOCAL_DIR) ?? await ownSystem(script)
}

async function runningSystem (localDir: string): Promise<Target | undefined> {
  try {
    const { gateway } = readRun(localDir)
    if (!await answers(`${gateway.url}/status-0123456789abcdef`)) return
    const subscriptions = JSON.parse(readSecrets(join(localDir, 'vault'), join(localDir, 'unseal-key')).get('gateway-subscription-keys')!)
    return { baseUrl: gateway.url, subscriptionKey: subscriptions['local-client'].key, localDir, description: `the system that runs from ${localDir}`, stop: async () => {} }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
}

async function ownSystem (script: string): Promise<Target> {
  const { env, args } = STARTS[script] ?? {}
  const system = await startSystem({ env: { LOG_LEVEL: 'warn', ...env }, args })
  const { baseUrl, subscriptionKey, localDir, stop } = system
  return { baseUrl, subscriptionKey, localDir, description: `a system of its own${args ? ` (npm start -- ${args.join(' ')})` : ''}`, stop: () => stop() }
}
