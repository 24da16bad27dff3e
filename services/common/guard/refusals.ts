import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { recordMetric } from '../telemetry/metrics.ts'
import { traceHeaders } from '../telemetry/trace.ts'
import { withTimeout } from '../with-timeout.ts'

/** What a caller lacked. */
export type RefusalReason = 'host-key' | 'caller-address'

/** Calls refused for one reason to one address, within a minute at the most. */
export interface Refusal {
  resource: { type: RefusalReason, operation: 'refuse' }
  /** Not told where it is not known, or where too many addresses are refused to tell each. */
  clientAddress?: string
  outcome: 'failure'
  count: number
}

/** Puts a refusal into the audit register; `headers` carry the trace of the last call it counts. */
export type RecordRefusal = (refusal: Refusal, headers: Record<string, string>) => Promise<unknown>

interface Counted {
  reason: RefusalReason
  address: string
  count: number
  /** The last call counted. */
  last?: FastifyRequest
  ends?: NodeJS.Timeout
}

const MINUTE_MS = 60_000
const MAX_ADDRESSES = 100
const CLOSING_MS = 1_000

/**
 * Counts refused calls and has them recorded: the first of an address at once, those that follow once a minute.
 * A caller who is refused must not be able to flood the register, nor this process with the addresses it uses.
 */
export class Refusals {
  #record: (counted: Counted) => Promise<unknown>
  #counted = new Map<string, Counted>()

  constructor (record: (counted: Counted) => Promise<unknown>) {
    this.#record = record
  }

  count (lack: RefusalReason, request: FastifyRequest) {
    const { callerAddress: address } = request
    recordMetric('refused_calls', 1, { kind: lack })
    const counted = this.#of(lack, address) ?? this.#begin(lack, this.#counted.size < MAX_ADDRESSES ? address : '')
    counted.count++
    counted.last = request
    if (!counted.ends) this.#tell(counted)
  }

  /** Has recorded what is counted but not told yet, as far as that goes in a second. */
  async close () {
    const untold = [...this.#counted.values()].filter(({ count }) => count > 0)
    for (const { ends } of this.#counted.values()) clearTimeout(ends)
    this.#counted.clear()
    await withTimeout(CLOSING_MS, Promise.all(untold.map(this.#record)), () => new Error()).catch(() => {})
  }

  #of (lack: RefusalReason, address: string) {
    return this.#counted.get(`${lack} ${address}`) ?? (this.#counted.size < MAX_ADDRESSES ? undefined : this.#counted.get(`${lack} `))
  }

  #begin (lack: RefusalReason, address: string) {
    const counted: Counted = { reason: lack, address, count: 0 }
    this.#counted.set(`${lack} ${address}`, counted)
    return counted
  }

  #tell (counted: Counted) {
    this.#record({ ...counted })
    counted.count = 0
    counted.last = undefined
    counted.ends = setTimeout(() => {
      if (counted.count > 0) this.#tell(counted)
      else this.#counted.delete(`${counted.reason} ${counted.address}`)
    }, MINUTE_MS).unref()
  }
}

declare module 'fastify' {
  interface FastifyInstance { refusals: Refusals }
}

/** Decorates the app with its `refusals`, logged and recorded, as far as the register takes them. */
export const refusals = fp<{ record: RecordRefusal }>(async (app, { record }) => {
  const refusals = new Refusals(async ({ reason: lack, address, count, last }) => {
    app.log.warn({ lack, address: address || undefined, count }, 'calls refused')
    try {
      await record({ resource: { type: lack, operation: 'refuse' }, clientAddress: address || undefined, outcome: 'failure', count }, traceHeaders(last!))
    } catch (err) {
      app.log.warn({ err }, 'a refusal is not recorded')
    }
  })
  app.decorate('refusals', refusals)
  app.addHook('preClose', () => refusals.close())
}, { name: 'refusals' })
