import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { StartError } from './start-error.ts'

/** Loaded into each process before its own modules. */
export const preloads =
  ['./orphan.ts', './localhost.ts'].flatMap((module) => ['--import', import.meta.resolve(module)])

// Longer than a service takes to start and fail
const STABLE_MS = 5000
const BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5000
const LAST_LINES_MS = 250
// After Ctrl-C, the exit of a child may be noticed before the signal itself
const MIN_RESTART_MS = 250

export interface Output {
  /**
   * The stream for its logs, that is, its stdout, and its stderr as well, which is printed too. Without one,
   * stdout goes to this process's own.
   */
  logs?: NodeJS.WritableStream
  say: (line: string) => void
}

/** A child process, which is restarted whenever it ends by itself. */
export class Child {
  readonly name: string
  #output: Output
  #onStart: () => void
  #spawn: () => ChildProcess
  #process?: ChildProcess
  #ready = false
  #stopping = false
  #startedAt = 0
  #quickEnds = 0
  #restart?: NodeJS.Timeout
  /** What it wrote to stderr before it was ready. */
  #errors: string[] = []

  constructor (name: string, module: URL, env: NodeJS.ProcessEnv, output: Output, onStart: () => void) {
    this.name = name
    this.#output = output
    this.#onStart = onStart
    this.#spawn = () => spawn(process.execPath, [...preloads, fileURLToPath(module)], {
      env, stdio: ['ignore', output.logs ? 'pipe' : 'inherit', 'pipe', 'ipc']
    })
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
    const child = this.#process = this.#spawn()
    if (logs) child.stdout!.pipe(logs, { end: false })
    createInterface(child.stderr!).on('line', (line) => {
      logs?.write(`${line}\n`)
      this.#printError(line)
    })
    // Unlike 'exit', 'close' comes after the end of its output
    child.once('close', (code, signal) => this.#ended(code, signal))
    child.once('error', () => this.#ended(null, null))
    this.#onStart()
  }

  /**
   * Waits until `isReady` resolves to true, which is called repeatedly.
   *
   * @throws {StartError} if the process ends first, or at `deadline` (ms since the epoch)
   */
  async ready (isReady: () => Promise<boolean>, deadline: number) {
    while (!await isReady()) {
      if (this.#stopping) return
      if (!this.#running) throw new StartError(`${this.name} did not start${await this.#reason()}`)
      if (Date.now() > deadline) throw new StartError(`${this.name} was not ready in time`)
      await sleep(20)
    }
    this.#ready = true
    for (const line of this.#errors.splice(0)) this.#printError(line)
  }

  /** Prevents another restart. */
  retire () {
    this.#stopping = true
    clearTimeout(this.#restart)
  }

  /** Ends it with SIGTERM, and with SIGKILL if it still runs at `deadline` (ms since the epoch). */
  async stop (deadline: number) {
    this.retire()
    if (!this.#running) return
    this.#process!.kill('SIGTERM')
    await this.ended(deadline)
    if (this.#running) {
      this.#process!.kill('SIGKILL')
      await once(this.#process!, 'exit')
    }
    await this.#outputEnded()
  }

  /** Waits until it has ended, or until `deadline` (ms since the epoch). */
  async ended (deadline: number) {
    if (!this.#running) return
    const ms = Math.max(0, deadline - Date.now())
    await Promise.race([once(this.#process!, 'exit'), sleep(ms, undefined, { ref: false })])
  }

  /** Waits for its last lines, but not for those of processes that it leaves behind. */
  async #outputEnded () {
    const ends = [this.#process!.stdout, this.#process!.stderr]
      .filter((stream) => stream && !stream.readableEnded)
      .map((stream) => once(stream!, 'end'))
    await Promise.race([Promise.all(ends), sleep(LAST_LINES_MS, undefined, { ref: false })])
  }

  #printError (line: string) {
    if (this.#ready) process.stderr.write(`${line}\n`)
    else this.#errors.push(line)
  }

  #ended (code: number | null, signal: string | null) {
    if (this.#stopping || !this.#ready) return
    this.#quickEnds = Date.now() - this.#startedAt < STABLE_MS ? this.#quickEnds + 1 : 1
    const again = this.#quickEnds - 2
    const backoff = again < 0 ? 0 : Math.min(BACKOFF_MS * 2 ** again, MAX_BACKOFF_MS)
    this.#restart = setTimeout(() => {
      this.#output.say(`${this.name} ended (${signal ?? `exit code ${code}`}); starting it again`)
      this.start()
    }, code === 0 ? Math.max(backoff, MIN_RESTART_MS) : backoff)
  }

  /** What it wrote to stderr, if that is one line; otherwise it is printed. */
  async #reason () {
    if (!this.#process!.stderr!.readableEnded) await once(this.#process!, 'close')
    const lines = this.#errors.splice(0)
    if (lines.length === 1) return `: ${lines[0]}`
    for (const line of lines) process.stderr.write(`${line}\n`)
    return ''
  }
}
