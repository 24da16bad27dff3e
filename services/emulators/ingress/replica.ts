import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Pool } from 'undici'
import { Child } from '../processes/child.ts'
import { releasePort } from '../processes/probes.ts'
import { connector } from '../gateway/upstream.ts'
import type { Config } from './config.ts'

const CONNECT_MS = 5_000
/** As long as a start may take. */
const START_MS = 60_000
const PROBE_MS = 2_000
/** Between two probes of one that is not ready. */
const STARTING_MS = 10

/** One process of the service, started anew where it dies, and the connections to it. */
export class Replica {
  readonly port: number
  readonly pool: Pool
  /** Requests that it has not answered. */
  outstanding = 0
  #child: Child
  #probeMs: number
  #graceMs: number
  #ready = false
  #leaving = false
  #onReady: () => void

  constructor (port: number, config: Config, onReady: () => void) {
    this.port = port
    this.#probeMs = config.PROBE_SECONDS * 1_000
    this.#graceMs = config.GRACE_SECONDS * 1_000
    this.#onReady = onReady
    const origin = `http://127.0.0.1:${port}`
    this.pool = new Pool(origin, { connect: connector(CONNECT_MS) })
    const env = { ...config.replica, PORT: String(port) }
    const output = { say: (line: string) => process.stdout.write(`${line}\n`) }
    this.#child = new Child(`${config.APP_NAME} replica`, pathToFileURL(config.APP_MODULE), env, output, () => this.failed())
  }

  get pid () { return this.#child.pid }

  get isReady () { return this.#ready && !this.#leaving }

  /**
   * Starts it, and waits until it is ready.
   *
   * @throws {StartError}
   */
  async start () {
    this.#child.start()
    await this.#child.ready(() => this.#probe(), Date.now() + START_MS)
    if (this.#leaving) return
    this.#take(true)
    this.#watch()
  }

  /** It is given no requests until it says again that it is ready. */
  failed () {
    this.#ready = false
  }

  /** It is given no more requests, and not started again. */
  retire () {
    this.#leaving = true
    this.#child.retire()
  }

  /** Has it finish the requests that it has, and end within the grace, or `graceMs`. */
  async stop (graceMs = this.#graceMs) {
    this.retire()
    await this.#child.stop(Date.now() + graceMs)
    await this.pool.destroy()
    releasePort(this.port)
  }

  async #watch () {
    while (!this.#leaving) {
      await sleep(this.#ready ? this.#probeMs : STARTING_MS, undefined, { ref: false })
      if (!this.#leaving) this.#take(await this.#probe())
    }
  }

  #take (ready: boolean) {
    const before = this.#ready
    this.#ready = ready
    if (ready && !before) this.#onReady()
  }

  /** As Container Apps' readiness probe. */
  async #probe () {
    try {
      const { statusCode, body } = await this.pool.request({ method: 'GET', path: '/health/ready', signal: AbortSignal.timeout(PROBE_MS) })
      await body.dump()
      return statusCode === 200
    } catch {
      return false
    }
  }
}
