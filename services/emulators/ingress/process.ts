import { pathToFileURL } from 'node:url'
import { Child } from '../processes/child.ts'
import { releasePort } from '../processes/probes.ts'
import type { Config } from './config.ts'
import { Replica } from './replica.ts'

/** The longest that a start may take. */
const START_MS = 60_000
const STARTING_MS = 10

/** A replica in a process of its own, which is restarted if it dies. */
export class ReplicaProcess extends Replica {
  #port: number
  #child: Child
  #graceMs: number

  constructor (port: number, config: Config, onReady: () => void) {
    const probeMs = config.PROBE_SECONDS * 1_000
    super(`http://127.0.0.1:${port}`, { probeMs, startingMs: STARTING_MS, onReady })
    this.#port = port
    this.#graceMs = config.GRACE_SECONDS * 1_000
    const env = { ...config.replica, PORT: String(port) }
    const output = { say: (line: string) => process.stdout.write(`${line}\n`) }
    const module = pathToFileURL(config.APP_MODULE!)
    this.#child = new Child(`${config.APP_NAME} replica`, module, env, output, () => this.failed())
  }

  get pid () { return this.#child.pid }

  /**
   * Starts the process and waits until it is ready.
   *
   * @throws {StartError}
   */
  async start () {
    this.#child.start()
    await this.#child.ready(() => this.probe(), Date.now() + START_MS)
    this.update(true)
    this.watch()
  }

  override retire () {
    super.retire()
    this.#child.retire()
  }

  /** Ends it, after its requests or `graceMs`. */
  async stop (graceMs = this.#graceMs) {
    this.retire()
    await this.#child.stop(Date.now() + graceMs)
    await this.pool.destroy()
    releasePort(this.#port)
  }
}
