import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { connector } from '../gateway/upstream.ts'

const CONNECT_MS = 5_000
const PROBE_TIMEOUT_MS = 2_000

interface Probing {
  /** Between two probes of a replica that is ready. */
  probeMs: number
  /** Between two probes of a replica that is not. */
  startingMs: number
  /** Called each time the replica becomes ready. */
  onReady: () => void
}

/** One replica of the app: its readiness, and the connections to it. */
export class Replica {
  readonly origin: string
  readonly pool: Pool
  /** How many requests it has not answered yet. */
  outstanding = 0
  #probing: Probing
  #ready = false
  #retired = false

  constructor (origin: string, probing: Probing) {
    this.origin = origin
    this.pool = new Pool(origin, { connect: connector(CONNECT_MS) })
    this.#probing = probing
  }

  get isReady () { return this.#ready && !this.#retired }

  /** Sends it no requests until its probe succeeds again. */
  failed () {
    this.#ready = false
  }

  /** Sends it no more requests. */
  retire () {
    this.#retired = true
  }

  /** Probes it until it is retired. */
  async watch () {
    while (!this.#retired) {
      this.update(await this.probe())
      const { probeMs, startingMs } = this.#probing
      await sleep(this.#ready ? probeMs : startingMs, undefined, { ref: false })
    }
  }

  protected update (ready: boolean) {
    const before = this.#ready
    this.#ready = ready
    if (this.isReady && !before) this.#probing.onReady()
  }

  /** Whether it is ready, by the readiness probe of Container Apps. */
  async probe () {
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
      const { statusCode, body } = await this.pool.request({ method: 'GET', path: '/health/ready', signal })
      await body.dump()
      return statusCode === 200
    } catch {
      return false
    }
  }
}
