import type { Dispatcher } from 'undici'
import { AgentPool, type AgentPoolOptions } from './agent-pool.ts'
import { KEPT_MS, type Service } from './upstream.ts'

/** Who has made so many calls will make more. */
const FEW_CALLS = 100

interface WarmingPoolOptions extends AgentPoolOptions {
  /** How many there may be once there are many calls. */
  connections: number
}

/**
 * Kept connections to a service, for calls with a body of text at the most: the first calls by Node's own client of HTTP,
 * those that follow by undici's.
 *
 * undici's serves a call in less time, but has a parser in WebAssembly, and with it takes a start 30 ms and a process
 * 10 MiB: too much for one that is started by a request and may see few more.
 */
export class WarmingPool implements Service {
  #origin: string
  #options: WarmingPoolOptions
  #first: Service
  #pool: Service
  #calls = 0
  #closed = false

  constructor (origin: string, options: WarmingPoolOptions) {
    this.#origin = origin
    this.#options = options
    this.#first = this.#pool = new AgentPool(origin, options)
  }

  dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    if (++this.#calls === FEW_CALLS) this.#takeOver()
    return this.#pool.dispatch(options, handler)
  }

  async close () {
    this.#closed = true
    await Promise.all([this.#first.close(), this.#pool.close()])
  }

  async destroy () {
    this.#closed = true
    await Promise.all([this.#first.destroy(), this.#pool.destroy()])
  }

  async #takeOver () {
    // Bundled, it has no names of its own
    const { default: { buildConnector, Pool } } = await import('undici')
    if (this.#closed) return
    const { connections, connectMs, via } = this.#options
    // Its callers have time limits of their own
    this.#pool = new Pool(this.#origin, { connections, connect: via(buildConnector({ timeout: connectMs })), keepAliveMaxTimeout: KEPT_MS, headersTimeout: 0, bodyTimeout: 0 })
    await this.#first.close()
  }
}
