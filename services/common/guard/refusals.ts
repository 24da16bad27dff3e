import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { recordMetric } from '../telemetry/metrics.ts'
import { traceHeaders } from '../telemetry/trace.ts'
import { withTimeout } from '../with-timeout.ts'

/** What was missing or wrong. */
type RefusalReason = 'host-key' | 'caller-address'

/** Calls from one address that were refused for one reason, in at most a minute. */
export interface Refusal {
  resource: { type: RefusalReason, operation: 'refuse' }
  /** Undefined where it is unknown, or where too many addresses are refused to count each. */
  clientAddress?: string
  outcome: 'failure'
  count: number
}

/** Stores a refusal in the audit register; `headers` continue the trace of the last call that it counts. */
export type RecordRefusal = (refusal: Refusal, headers: Record<string, string>) => Promise<unknown>

interface Counter {
  reason: RefusalReason
  address: string
  count: number
  /** The last call counted. */
  last: FastifyRequest
}

const MINUTE_MS = 60_000
const MAX_ADDRESSES = 100
const CLOSING_MS = 1_000

/**
 * Counts, logs and records refused calls: the first of an address at once, later ones once a minute. The
 * number of addresses is bounded, so that refused callers can flood neither the register nor the memory.
 */
class Refusals {
  #log: FastifyBaseLogger
  #record: RecordRefusal
  #counters = new Map<string, Counter>()
  #timer = setInterval(() => this.#recordCounted(), MINUTE_MS).unref()

  constructor (log: FastifyBaseLogger, record: RecordRefusal) {
    this.#log = log
    this.#record = record
  }

  count (reason: RefusalReason, request: FastifyRequest) {
    recordMetric('refused_calls', 1, { kind: reason })
    const { callerAddress } = request
    // Further addresses share a counter
    const isFull = this.#counters.size >= MAX_ADDRESSES && !this.#counters.has(`${reason} ${callerAddress}`)
    const address = isFull ? '' : callerAddress
    const key = `${reason} ${address}`
    const counter = this.#counters.get(key)
    if (counter) {
      counter.count++
      counter.last = request
    } else {
      const first = { reason, address, count: 1, last: request }
      this.#counters.set(key, first)
      this.#recordCalls(first)
    }
  }

  /** Records what is not recorded yet; gives up after a second. */
  async close () {
    clearInterval(this.#timer)
    await withTimeout(CLOSING_MS, this.#recordCounted(), () => new Error()).catch(() => {})
  }

  async #recordCounted () {
    for (const [key, { count }] of this.#counters) if (count === 0) this.#counters.delete(key)
    await Promise.all(this.#counters.values().map((counter) => this.#recordCalls(counter)))
  }

  async #recordCalls (counter: Counter) {
    const { reason, address, count, last } = counter
    counter.count = 0
    const clientAddress = address || undefined
    this.#log.warn({ lack: reason, address: clientAddress, count }, 'calls refused')
    const resource = { type: reason, operation: 'refuse' } as const
    try {
      await this.#record({ resource, clientAddress, outcome: 'failure', count }, traceHeaders(last))
    } catch (err) {
      this.#log.warn({ err }, 'cannot record refused calls')
    }
  }
}

declare module 'fastify' {
  interface FastifyInstance { refusals: Refusals }
}

/** Decorates the app with its `refusals`, which are logged and, if the register is available, recorded. */
export const refusals = fp<{ record: RecordRefusal }>(async (app, { record }) => {
  app.decorate('refusals', new Refusals(app.log, record))
  app.addHook('preClose', () => app.refusals.close())
}, { name: 'refusals' })
