import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { Pool } from 'undici'
import { STARTING_MS } from '#common/database.ts'
import { traceHeaders } from '#common/trace.ts'
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

const RETRIES = 3

/** Container Apps stops an app 5 minutes after its last request, so one that answered lately is not at zero. */
const WARM_MS = 240_000

/** The Audit service, as the Patient service calls it. */
export class AuditClient {
  #pool: Pool
  #hostKey: string
  #log: FastifyBaseLogger
  #answered = -Infinity

  constructor (url: string, hostKey: string, log: FastifyBaseLogger) {
    this.#pool = new Pool(url, { connections: 128, connect: { timeout: 4_000 }, headersTimeout: 0, bodyTimeout: 0 })
    this.#hostKey = hostKey
    this.#log = log
  }

  /**
   * Fulfilled once the record `id` is durable, within `ms`.
   *
   * @throws {AuditUnavailable} the record is not known to stand
   */
  async record (id: string, entry: AuditEntry, request: FastifyRequest, ms: number) {
    await this.#post(id, entry, request, AbortSignal.timeout(Math.max(0, Math.round(ms))))
    this.#answered = performance.now()
  }

  /** Whether the Audit service may be scaled to zero, so that a call has to wait for its start. */
  get mayBeStarting () {
    return performance.now() - this.#answered > WARM_MS
  }

  /** Has the platform start the Audit service, where it is scaled to zero, while this service starts. */
  wake () {
    this.#pool.request({ path: '/health/live', method: 'GET', headersTimeout: STARTING_MS }).then(({ body }) => body.dump()).catch(() => {})
  }

  /** Ends what is still under way: nobody waits for it any more. */
  close () {
    return this.#pool.destroy()
  }

  async #post (id: string, entry: AuditEntry, request: FastifyRequest, signal: AbortSignal) {
    const headers = {
      'content-type': 'application/json',
      'x-functions-key': this.#hostKey,
      'idempotency-key': id,
      ...traceHeaders(request)
    }
    const body = JSON.stringify({
      sourceSystemName: 'patient',
      actor: header(request, 'x-audit-actor'),
      clientAddress: header(request, 'x-audit-client-address'),
      requestId: header(request, 'x-audit-request-id'),
      ...entry
    })
    const { statusCode } = await this.#send(headers, body, signal)
    if (statusCode === 201) return
    this.#log.warn({ statusCode }, 'the audit register did not take a record')
    throw new AuditUnavailable()
  }

  // The register takes a record's id once, so a request that a broken connection swallowed may be sent again
  async #send (headers: Record<string, string>, body: string, signal: AbortSignal) {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#pool.request({ path: '/audit', method: 'POST', headers, body, signal })
        await answer.body.dump()
        return answer
      } catch (cause) {
        if (attempt === RETRIES || signal.aborted) throw Object.assign(new AuditUnavailable(), { cause })
        await sleep(20 * 2 ** attempt)
      }
    }
  }
}

function header ({ headers }: FastifyRequest, name: string) {
  return (headers[name]?.slice(0, 256) || undefined) as string | undefined
}
