import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import createError from '@fastify/error'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Dispatcher } from 'undici'
import { KeysUnavailable } from '#common/http/problems.ts'
import type { Refusal } from '#common/guard/refusals.ts'
import type { Secret } from '#common/secrets/secrets.ts'
import { traceHeaders } from '#common/telemetry/trace.ts'
import { connectTo, type Lookup, type Service } from '#common/http/upstream.ts'
import { WarmingPool } from '#common/http/warming-pool.ts'
import { AuditUnavailable } from './errors.ts'

export interface Disclosure {
  id: string
  version: string
}

/** What happened, as the caller of the register knows it. */
export interface AuditEntry {
  resource: { type: string, id?: string, patientId?: string, operation: string }
  criteria?: string[]
  disclosed?: Disclosure[]
  outcome?: 'success' | 'failure'
  attemptOf?: string
}

/** What a record takes from the headers of a request, whose `id` is its trace id. */
export type AuditOrigin = Pick<FastifyRequest, 'id' | 'headers'>

const AnswerLate = createError('UPSTREAM_LATE', 'The service did not answer in time')

const RETRIES = 3

/** Two looks of the vault begin a second apart at least. */
const LOOK_MS = 1_500

/** Container Apps stops an app 5 minutes after its last request, so one that answered lately is not at zero. */
const WARM_MS = 240_000

// Paths without an id
const names = { target: 'audit', route: String }

/** The Audit service, as the Patient service calls it. */
export class AuditClient {
  #service: Service
  #hostKey: Secret<string>
  #log: FastifyBaseLogger
  #answered = -Infinity

  constructor (url: string, hostKey: Secret<string>, log: FastifyBaseLogger, lookup?: Lookup) {
    this.#service = connectTo(url, { open: (origin, via) => new WarmingPool(origin, { connections: 128, connectMs: 4_000, via }), lookup, names })
    this.#hostKey = hostKey
    this.#log = log
  }

  /**
   * Fulfilled once the record `id` is durable, within `ms`.
   *
   * @throws {AuditUnavailable} the record is not known to stand
   */
  async record (id: string, entry: AuditEntry, request: AuditOrigin, ms: number) {
    const { headers } = request
    const origin = {
      actor: field(headers['x-audit-actor']),
      clientAddress: field(headers['x-audit-client-address']),
      requestId: field(headers['x-audit-request-id'])
    }
    await this.#post(id, { ...origin, ...entry }, traceHeaders(request), ms)
    this.#answered = performance.now()
  }

  /**
   * Fulfilled once a refusal is recorded, within `ms`; `trace` are the headers that carry it.
   *
   * @throws {AuditUnavailable}
   */
  recordRefusal (refusal: Refusal, trace: Record<string, string>, ms: number) {
    return this.#post(randomUUIDv7(), refusal, trace, ms)
  }

  /** Whether the Audit service may be scaled to zero, so that a call has to wait for its start. */
  get mayBeStarting () {
    return performance.now() - this.#answered > WARM_MS
  }

  /** Ends what is still under way: nobody waits for it any more. */
  close () {
    return this.#service.destroy()
  }

  async #post (id: string, content: object, trace: Record<string, string>, ms: number) {
    const giveUp = performance.now() + ms
    const headers = { 'content-type': 'application/json', 'idempotency-key': id, ...trace }
    const body = JSON.stringify({ sourceSystemName: 'patient', ...content })
    const key = this.#hostKey.current()
    if (key === undefined) throw Object.assign(new AuditUnavailable(), { cause: new KeysUnavailable() })
    let statusCode = await this.#send(key, headers, body, giveUp)
    if (statusCode === 401) {
      for await (const other of this.#hostKey.alternatives(key, Math.min(LOOK_MS, giveUp - performance.now()))) {
        statusCode = await this.#send(other, headers, body, giveUp)
        if (statusCode !== 401) break
      }
    }
    if (statusCode === 201) return
    this.#log.warn({ statusCode }, 'the audit register did not take a record')
    throw new AuditUnavailable()
  }

  // The register takes a record's id once, so a request that a broken connection swallowed may be sent again
  async #send (key: string, headers: Record<string, string>, body: string, giveUp: number) {
    for (let attempt = 0; ; attempt++) {
      try {
        // The register need not look whether it has a record that it was never sent before
        const fields = { ...headers, 'x-functions-key': key, ...(attempt === 0 && { 'x-audit-attempt': '1' }) }
        return await new Answer(this.#service, { path: '/audit', method: 'POST', headers: fields, body }, giveUp - performance.now()).status
      } catch (cause) {
        if (attempt === RETRIES || cause instanceof AnswerLate || performance.now() >= giveUp) throw Object.assign(new AuditUnavailable(), { cause })
        await sleep(20 * 2 ** attempt)
      }
    }
  }
}

/** The status of an answer whose body says nothing more, within `ms`. */
class Answer implements Dispatcher.DispatchHandler {
  readonly status: Promise<number>
  #settle!: { resolve: (status: number) => void, reject: (error: Error) => void }
  #timer: NodeJS.Timeout
  #controller?: Dispatcher.DispatchController
  #status = 0

  constructor (service: Service, options: Dispatcher.DispatchOptions, ms: number) {
    this.status = new Promise((resolve, reject) => { this.#settle = { resolve, reject } })
    this.#timer = setTimeout(() => this.#abort(), Math.max(0, ms))
    service.dispatch(options, this)
  }

  onRequestStart (controller: Dispatcher.DispatchController) {
    this.#controller = controller
  }

  onResponseStart (_controller: Dispatcher.DispatchController, statusCode: number) {
    this.#status = statusCode
  }

  onResponseData () {}

  onResponseEnd () {
    clearTimeout(this.#timer)
    this.#settle.resolve(this.#status)
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error) {
    clearTimeout(this.#timer)
    this.#settle.reject(error)
  }

  #abort () {
    const late = new AnswerLate()
    this.#settle.reject(late)
    this.#controller?.abort(late)
  }
}

/** A header field of bounded length, where it says anything. */
function field (value: unknown) {
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : undefined
}
