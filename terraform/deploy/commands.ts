// Runs az, docker, git and terraform, so that an interrupted deployment can still close what it opened.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { text } from 'node:stream/consumers'

/** A problem that is reported without a stack. */
export class DeployError extends Error {}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const EXIT_OF_CHANGES = 2

let interruption: NodeJS.Signals | undefined
let cleaning = false
const waiting = new AbortController()
/** Aborted by an interruption. */
export const interrupted = waiting.signal
const running = new Set<number>()

/** Ends what runs at a signal, once: a second one would make Terraform stop without saving its state. */
export function handleSignals () {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (interruption || cleaning) return process.stderr.write('Closing what was opened; please wait.\n')
      interruption = signal
      process.stderr.write(`${signal}: stopping, and closing what was opened.\n`)
      for (const pid of running) process.kill(-pid, 'SIGINT')
      waiting.abort()
    })
  }
}

/** Commands that follow run to their end, even after an interruption. */
export function startCleaning () {
  cleaning = true
}

export function wasInterrupted () {
  return interruption !== undefined
}

/** Runs a command that writes to this terminal. */
export async function run (command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
  const status = await start(command, args, env)
  if (status !== 0) throw failure(command, args)
}

/** The output of a command, without white space around it. */
export async function outputOf (command: string, ...args: string[]) {
  const lines: string[] = []
  const status = await start(command, args, {}, lines)
  if (status !== 0) throw failure(command, args)
  return lines.join('').trim()
}

/** Whether `terraform plan -detailed-exitcode` found changes. */
export async function findsChanges (args: string[]) {
  const status = await start('terraform', args)
  if (status !== 0 && status !== EXIT_OF_CHANGES) throw failure('terraform', args)
  return status === EXIT_OF_CHANGES
}

/**
 * Tries until `attempt` succeeds, because new network rules and roles take minutes to take effect.
 *
 * @throws {DeployError} the last attempt failed, or the deployment is interrupted
 */
export async function retry<T> (attempts: number, waitMs: number, attempt: () => Promise<T>): Promise<T> {
  for (let left = attempts - 1; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 0 || !(error instanceof DeployError) || (wasInterrupted() && !cleaning)) throw error
      await sleep(waitMs, undefined, cleaning ? {} : { signal: interrupted }).catch(() => stop())
    }
  }
}

function failure (command: string, args: string[]) {
  if (wasInterrupted() && !cleaning) return stop()
  return new DeployError(`${command} ${args.find((arg) => !arg.startsWith('-'))} failed`)
}

function stop (): never {
  throw new DeployError(`interrupted by ${interruption}`)
}

/** In a process group of its own, which does not get the Ctrl-C of the terminal: it is passed on once. */
async function start (command: string, args: string[], env: NodeJS.ProcessEnv = {}, lines?: string[]) {
  if (wasInterrupted() && !cleaning) stop()
  const child = spawn(command, args, {
    detached: true, stdio: ['ignore', lines ? 'pipe' : 'inherit', 'inherit'], env: { ...process.env, ...env }
  })
  if (child.pid) running.add(child.pid)
  try {
    const [[status], output] =
      await Promise.all([once(child, 'close'), child.stdout && text(child.stdout)])
    if (output) lines?.push(output)
    return status as number | null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new DeployError(`${command} cannot be started`)
    throw error
  } finally {
    running.delete(child.pid!)
  }
}
