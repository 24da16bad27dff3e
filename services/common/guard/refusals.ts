import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { recordMetric } from '../telemetry/metrics.ts'
import { traceHeaders } from '../telemetry/trace.ts'
import { withTimeout } from '../with-timeout.ts'

/** What was missing or wrong. */
export type RefusalReason = 'host-key' | 'caller-address'

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
  last?: FastifyRequest
  timer?: NodeJS.Timeout
}

const MINUTE_MS = 60_000
const MAX_ADDRESSES = 100
const CLOSING_MS = 1_000

/**
 * Counts and records refused calls: the first of an address at once, later ones once a minute. The number of
 * addresses is bounded, so that refused callers can flood neither the register nor this process's memory.
 */
export class Refusals {
  #record: (counter: Counter) => Promise<unknown>
  #counters = new Map<string, Counter>()

  constructor (record: (counter: Counter) => Promise<unknown>) {
    this.#record = record
  }

  count (reason: RefusalReason, request: FastifyRequest) {
    recordMetric('refused_calls', 1, { kind: reason })
    const counter = this.#counterFor(reason, request.callerAddress)
    counter.count++
    counter.last = request
    if (!counter.timer) this.#flush(counter)
  }

  /** Records what is not recorded yet; gives up after a second. */
  async close () {
    const pending = [...this.#counters.values()].filter(({ count }) => count > 0)
    for (const { timer } of this.#counters.values()) clearTimeout(timer)
    this.#counters.clear()
    await withTimeout(CLOSING_MS, Promise.all(pending.map(this.#record)), () => new Error()).catch(() => {})
  }

  /** The counter of an address; once there are too many, one that all further addresses share. */
  #counterFor (reason: RefusalReason, address: string): Counter {
    const known = this.#counters.get(`${reason} ${address}`)
    if (known) return known
    if (this.#counters.size >= MAX_ADDRESSES && address !== '') return this.#counterFor(reason, '')
    const counter: Counter = { reason, address, count: 0 }
    this.#counters.set(`${reason} ${address}`, counter)
    return counter
  }

  #flush (counter: Counter) {
    this.#record({ ...counter })
    counter.count = 0
    counter.last = undefined
    counter.timer = setTimeout(() => {
      if (counter.count > 0) this.#flush(counter)
      else this.#counters.delete(`${counter.reason} ${counter.address}`)
    }, MINUTE_MS).unref()
  }
}

declare module 'fastify' {
  interface FastifyInstance { refusals: Refusals }
}

/** Decorates the app with its `refusals`, which are logged and, if the register is available, recorded. */
export const refusals = fp<{ record: RecordRefusal }>(async (app, { record }) => {
  const refusals = new Refusals(async ({ reason, address, count, last }) => {
    const clientAddress = address || undefined
    app.log.warn({ lack: reason, address: clientAddress, count }, 'calls refused')
    const resource = { type: reason, operation: 'refuse' } as const
    try {
      await record({ resource, clientAddress, outcome: 'failure', count }, traceHeaders(last!))
    } catch (err) {
      app.log.warn({ err }, 'cannot record refused calls')
    }
  })
  app.decorate('refusals', refusals)
  app.addHook('preClose', () => refusals.close())
}, { name: 'refusals' })
