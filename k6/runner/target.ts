import { loadConfig } from '../../services/cli/system/config.ts'
import { runningGateway } from '../../services/cli/system/gateway.ts'
import { StartError } from '../../services/cli/system/state.ts'
import { startSystem } from '../../services/test/system.ts'
import { baseUrl, subscriptionKey } from './config.ts'

/** A gateway to load test. */
export interface Target {
  baseUrl: string
  subscriptionKey: string
  /** The directory of a system on this machine. */
  localDir?: string
  description: string
  /** Ends what was started for this run. */
  stop: () => Promise<unknown>
}

/** How a system is started for a script. */
const STARTS: Record<string, { env?: NodeJS.ProcessEnv, args?: string[] }> = {
  rotation: { env: { KEY_REFRESH_SECONDS: '1' } },
  spike: { args: ['--scale-to-zero'] }
}

/**
 * The gateway at BASE_URL, or that of the system which runs from LOCAL_DIR, or that of a new system which
 * keeps no data.
 *
 * @throws {StartError}
 */
export async function findTarget (script: string): Promise<Target> {
  if (baseUrl) {
    if (!subscriptionKey) throw new StartError('BASE_URL requires SUBSCRIPTION_KEY')
    return { baseUrl, subscriptionKey, description: 'the gateway at BASE_URL', stop: async () => {} }
  }
  const { LOCAL_DIR: localDir } = loadConfig(process.env)
  const running = await runningGateway(localDir)
  if (!running) return newSystem(script)
  const description = `the system that runs from ${localDir}`
  return { baseUrl: running.url, subscriptionKey: running.key, localDir, description, stop: async () => {} }
}

async function newSystem (script: string): Promise<Target> {
  const { env, args } = STARTS[script] ?? {}
  const system = await startSystem({ env: { LOG_LEVEL: 'warn', ...env }, args })
  const { baseUrl, subscriptionKey, localDir, stop } = system
  const description = `a new system${args ? ` (npm start -- ${args.join(' ')})` : ''}`
  return { baseUrl, subscriptionKey, localDir, description, stop: () => stop() }
}
