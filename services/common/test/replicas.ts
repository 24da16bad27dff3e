import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const { NODE_COMPILE_CACHE } = process.env
const REPLICA = fileURLToPath(import.meta.resolve('./replica.ts'))

/** Starts a replica, or the service of another `module`, as a process and waits until it listens. */
export async function startReplica (t: Test, settings: NodeJS.ProcessEnv, module = REPLICA) {
  const replica = spawn(process.execPath, [module], {
    env: { NODE_COMPILE_CACHE, ...settings }, stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(replica, 'exit')
  t.teardown(() => { replica.kill('SIGKILL') })
  let log = ''
  replica.stdout.setEncoding('utf8').on('data', (chunk) => { log += chunk })
  /** Waits until it has logged `message`. */
  const logged = async (message: string) => {
    while (!log.includes(`"${message}"`)) {
      if (replica.exitCode !== null) throw new Error(`it ended without ${message}: ${log}`)
      await Promise.race([once(replica.stdout, 'data'), ended])
    }
  }
  await logged('listening')
  return {
    logged,
    log: () => log,
    /** Sends `signal`. */
    kill: (signal: NodeJS.Signals) => replica.kill(signal),
    /** Fulfilled with its exit code. */
    ended: ended.then(([code]) => code as number | null)
  }
}
