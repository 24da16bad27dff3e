import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { StartError } from './start-error.ts'

/** Loaded into each process before its own modules. */
export const preloads = ['./orphan.ts', './localhost.ts'].flatMap((module) => ['--import', import.meta.resolve(module)])

// Longer than a service takes to start and fail
const STABLE_MS = 5000
const BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5000
// A child that a Ctrl-C ends may be seen before the Ctrl-C itself
const ENDED_BY_ITSELF_MS = 250

export interface Output {
  /** Where its log lines go: a stream, or the terminal as they are. */
  logs?: NodeJS.WritableStream
  say: (line: string) => void
}

/** A process of the system, started again on the same port whenever it dies. */
export class Child {
  readonly name: string
  #module: string
  #env: NodeJS.ProcessEnv
  #output: Output
  #onStart: () => void
  #process?: ChildProcess
  #ready = false
  #stopping = false
  #startedAt = 0
  #quickDeaths = 0
  #restart?: NodeJS.Timeout
  #held: string[] = []

  constructor (name: string, module: URL, env: NodeJS.ProcessEnv, output: Output, onStart: () => void) {
    this.name = name
    this.#module = fileURLToPath(module)
    this.#env = env
    this.#output = output
    this.#onStart = onStart
  }

  get pid () {
    return this.#running ? this.#process!.pid : undefined
  }

  get #running () {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
  }

  start () {
    const { logs } = this.#output
    this.#startedAt = Date.now()
    const child = spawn(process.execPath, [...preloads, this.#module], {
      env: this.#env,
      stdio: ['ignore', logs ? 'pipe' : 'inherit', 'pipe', 'ipc']
    })
    this.#process = child
    if (logs) child.stdout!.pipe(logs, { end: false })
    createInterface(child.stderr!).on('line', (line) => this.#complain(line))
    // 'close' and not 'exit': its last words are in by then
    child.once('close', (code, signal) => this.#ended(code, signal))
    child.once('error', () => this.#ended(null, null))
    this.#onStart()
  }

  /**
   * Waits until `probe` succeeds, asked again and again.
   *
   * @throws {StartError} where the process ends first, or `deadline` (ms since the epoch) passes
   */
  async ready (probe: () => Promise<boolean>, deadline: number) {
    while (!await probe()) {
      if (this.#stopping) return
      if (!this.#running) throw new StartError(`${this.name} did not start${await this.#reason()}`)
      if (Date.now() > deadline) throw new StartError(`${this.name} was not ready in time`)
      await sleep(20)
    }
    this.#ready = true
    for (const line of this.#held.splice(0)) this.#complain(line)
  }

  /** Keeps it from being started again. */
  retire () {
    this.#stopping = true
    clearTimeout(this.#restart)
  }

  /** Ends it with SIGTERM, and with SIGKILL where it is still there at `deadline` (ms since the epoch). */
  async stop (deadline: number) {
    this.retire()
    if (!this.#running) return
    this.#process!.kill('SIGTERM')
    await this.gone(deadline)
    if (!this.#running) return
    this.#process!.kill('SIGKILL')
    await once(this.#process!, 'exit')
  }

  /** Waits until it has ended, or until `deadline` (ms since the epoch). */
  async gone (deadline: number) {
    if (!this.#running) return
    await Promise.race([once(this.#process!, 'exit'), sleep(Math.max(0, deadline - Date.now()), undefined, { ref: false })])
  }

  #complain (line: string) {
    if (this.#ready) process.stderr.write(`${line}\n`)
    else this.#held.push(line)
  }

  #ended (code: number | null, signal: string | null) {
    if (this.#stopping || !this.#ready) return
    this.#quickDeaths = Date.now() - this.#startedAt < STABLE_MS ? this.#quickDeaths + 1 : 1
    const backoff = this.#quickDeaths === 1 ? 0 : Math.min(BACKOFF_MS * 2 ** (this.#quickDeaths - 2), MAX_BACKOFF_MS)
    this.#restart = setTimeout(() => {
      this.#output.say(`${this.name} ended (${signal ?? `exit code ${code}`}); starting it again`)
      this.start()
    }, code === 0 ? Math.max(backoff, ENDED_BY_ITSELF_MS) : backoff)
  }

  async #reason () {
    if (!this.#process!.stderr!.readableEnded) await once(this.#process!, 'close')
    const said = this.#held.splice(0)
    if (said.length === 1) return `: ${said[0]}`
    for (const line of said) process.stderr.write(`${line}\n`)
    return ''
  }
}
