import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Dispatcher, Pool } from 'undici'
import type { Refusal } from '#common/guard/refusals.ts'
import type { Attempts, callerFieldsOf } from '#common/audit-record.ts'
import { callerOf } from '#common/http/caller.ts'
import { openPool } from '#common/http/pool.ts'
import { KeysUnavailable } from '#common/http/problems.ts'
import type { Secret } from '#common/secrets/secrets.ts'
import { traceHeaders } from '#common/telemetry/trace.ts'
import { AuditUnavailable } from './errors.ts'

export interface Disclosure {
  id: string
  version: string
}

/** An interaction, as the patient service describes it. */
export interface AuditEntry {
  resource: { type: string, id?: string, patientId?: string, operation: string }
  criteria?: string[]
  disclosed?: Disclosure[]
  outcome?: 'success' | 'failure'
  attemptOf?: string
  replica?: string
}

/** An outcome that another process than that of the attempt records, in the name of the attempt's caller. */
export type ReconciledEntry = AuditEntry & { reconciled: true } & ReturnType<typeof callerFieldsOf>

const PATH = '/audit'
const ATTEMPTS_PATH = '/audit/attempts'
const FIRST_ATTEMPT = 'x-audit-attempt'
type Fields = Record<string, string>
const MAX_RETRIES = 3

interface Response {
  statusCode: number
  /** Empty for a record that was stored. */
  text: string
}

/** The parts of a request that a record needs; `id` is its trace id. */
export type AuditOrigin = Pick<FastifyRequest, 'id' | 'headers'>

/** The longest wait for newer versions of the host key: reads of Key Vault begin at least a second apart. */
const REFRESH_MS = 1_500

/** Container Apps stops an app 5 minutes after its last request, so one that answered within 4 is running. */
const RUNNING_MS = 240_000

/** Calls the audit service, over at most 128 connections. */
export class AuditClient {
  #pool: Pool
  #hostKey: Secret<string>
  #log: FastifyBaseLogger
  #lastStored = -Infinity

  constructor (url: string, hostKey: Secret<string>, log: FastifyBaseLogger) {
    this.#pool = openPool(url, { target: 'audit', route: (path) => path }, {
      connections: 128,
      connect: { timeout: 4_000 },
      // Each call has a deadline of its own
      headersTimeout: 0,
      bodyTimeout: 0
    })
    this.#hostKey = hostKey
    this.#log = log
  }

  /**
   * Stores the record `id` of `entry` and of the caller that `request` names. Fulfilled once the record is
   * durable, within `ms`.
   *
   * `sent` says that the record may have been sent under this id before.
   *
   * @throws {AuditUnavailable} it is not known whether the record is stored
   */
  async record (
    id: string, entry: AuditEntry | ReconciledEntry, request: AuditOrigin, ms: number, sent = false
  ) {
    const { headers } = request
    const origin = {
      actor: field(headers['x-audit-actor']),
      clientAddress: field(headers['x-audit-client-address']),
      requestId: field(headers['x-audit-request-id']),
      ...callerOf(headers)
    }
    await this.#storeRecord(id, { ...origin, ...entry }, traceHeaders(request), ms, sent)
    this.#lastStored = performance.now()
  }

  /**
   * Stores the record of a refusal, within `ms`; `trace` are the headers that carry its trace.
   *
   * @throws {AuditUnavailable}
   */
  recordRefusal (refusal: Refusal, trace: Record<string, string>, ms: number) {
    return this.#storeRecord(randomUUIDv7(), refusal, trace, ms)
  }

  /**
   * Asks for the attempts under the id `replica` that have no outcome, within `ms`.
   *
   * @throws {AuditUnavailable}
   */
  async attempts (replica: string, ms: number): Promise<Attempts> {
    const body = JSON.stringify({ replica })
    const headers = { 'content-type': 'application/json' }
    const { statusCode, text } = await this.#post(ATTEMPTS_PATH, headers, body, ms)
    if (statusCode !== 200) throw new AuditUnavailable()
    return JSON.parse(text)
  }

  /** Whether the audit service may be scaled to zero, so that a call has to wait for its start. */
  get mayBeStarting () {
    return performance.now() - this.#lastStored > RUNNING_MS
  }

  /** Aborts the calls under way. */
  close () {
    return this.#pool.destroy()
  }

  async #storeRecord (id: string, content: object, trace: Fields, ms: number, sent = false) {
    const headers: Fields = {
      'content-type': 'application/json',
      'idempotency-key': id,
      ...trace,
      // The audit service then need not search for an earlier record under this id
      ...(!sent && { [FIRST_ATTEMPT]: '1' })
    }
    const body = JSON.stringify({ sourceSystemName: 'patient', ...content })
    const { statusCode } = await this.#post(PATH, headers, body, ms)
    if (statusCode === 201) return
    this.#log.warn({ statusCode }, 'the audit service did not store a record')
    throw new AuditUnavailable()
  }

  async #post (path: string, headers: Fields, body: string, ms: number): Promise<Response> {
    const deadline = performance.now() + ms
    const signal = AbortSignal.timeout(Math.max(0, Math.ceil(ms)))
    const key = this.#hostKey.current()
    if (key === undefined) throw unavailable(new KeysUnavailable())
    let response = await this.#send(path, key, headers, body, signal)
    if (response.statusCode === 401) {
      const refreshMs = Math.min(REFRESH_MS, deadline - performance.now())
      for await (const other of this.#hostKey.alternatives(key, refreshMs)) {
        response = await this.#send(path, other, headers, body, signal)
        if (response.statusCode !== 401) break
      }
    }
    return response
  }

  // The id is the idempotency key, so a request may be sent again when its connection breaks
  async #send (path: string, key: string, headers: Fields, body: string, signal: AbortSignal) {
    for (let attempt = 0; ; attempt++) {
      try {
        if (attempt > 0) await sleep(10 * 2 ** attempt, undefined, { signal })
        const fields: Fields = { ...headers, 'x-functions-key': key }
        if (attempt > 0) delete fields[FIRST_ATTEMPT]
        return await this.#request({ path, method: 'POST', headers: fields, body, signal })
      } catch (cause) {
        if (attempt === MAX_RETRIES || signal.aborted) throw unavailable(cause)
      }
    }
  }

  /** Rejects when the signal aborts, also while the pool queues the request. */
  #request (options: Dispatcher.RequestOptions & { signal: AbortSignal }) {
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    const { signal } = options
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#pool.request(options)
      .then(async ({ statusCode, body }) => {
        const text = statusCode === 200 ? await body.text() : ''
        await body.dump()
        resolve({ statusCode, text })
      })
      .catch(reject)
      .finally(() => signal.removeEventListener('abort', abort))
    return promise
  }
}

function unavailable (cause: unknown) {
  return Object.assign(new AuditUnavailable(), { cause })
}

/** A header field of bounded length; undefined where it is missing or empty. */
function field (value: unknown) {
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : undefined
}
