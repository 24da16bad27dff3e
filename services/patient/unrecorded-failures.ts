import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { CALLER_HEADERS } from '#common/http/caller.ts'
import { pause } from '#common/pause.ts'
import { runInOperations } from '#common/telemetry/operation.ts'
import { withTimeout } from '#common/with-timeout.ts'
import type { AuditClient, AuditEntry, AuditOrigin } from './audit-client.ts'
import { OutOfTime } from './errors.ts'

const MAX_WAITING = 10_000
const SEND_MS = 10_000
const MAX_BACKOFF_MS = 5_000
const CLOSING_BACKOFF_MS = 100
const CLOSING_MS = 5_000

interface Failure {
  /** The id of the record, the same in each attempt to send it. */
  id: string
  entry: AuditEntry
  origin: AuditOrigin
  /** Called once the record is stored. */
  stored: () => void
}

/**
 * Failures that could not be recorded before their response. They are sent in the background until the audit
 * service has stored them, so that no failed attempt in the register looks like a write.
 */
export class UnrecordedFailures {
  #audit: AuditClient
  #log: FastifyBaseLogger
  #waiting: Failure[] = []
  /** Writes that continue after their response. */
  #pending = new Set<Promise<void>>()
  #sending: Promise<void> | undefined
  #closing = new AbortController()
  #stopped = false

  constructor (audit: AuditClient, log: FastifyBaseLogger) {
    this.#audit = audit
    this.#log = log
  }

  add (id: string, entry: AuditEntry, request: FastifyRequest, stored: () => void) {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#log.error({ id }, 'failure not recorded, too many failures wait for the audit service')
      return
    }
    this.#waiting.push({ id, entry, origin: originOf(request), stored })
    this.#sending ??= runInOperations([], () => this.#send())
  }

  /** Waits for `work`, which continues after the response and may add a failure, before it closes. */
  waitFor (work: Promise<void>) {
    const settled = work.finally(() => this.#pending.delete(settled))
    this.#pending.add(settled)
  }

  /** Sends the waiting failures, for up to 5 s. */
  async close () {
    this.#closing.abort()
    const flushed = Promise.all(this.#pending).then(() => this.#sending)
    await withTimeout(CLOSING_MS, flushed, () => new OutOfTime()).catch(() => {
      this.#log.error({ failures: this.#waiting.length }, 'failures not recorded before the service closed')
    })
    this.#stopped = true
  }

  async #send () {
    for (let attempt = 0; this.#waiting.length > 0 && !this.#stopped;) {
      const [{ id, entry, origin }] = this.#waiting as [Failure]
      try {
        await this.#audit.record(id, entry, origin, SEND_MS, true)
        this.#waiting.shift()!.stored()
        attempt = 0
      } catch {
        // A record that is refused must not delay the others
        this.#waiting.push(this.#waiting.shift()!)
        await this.#backOff(attempt++)
      }
    }
    this.#sending = undefined
  }

  async #backOff (attempt: number) {
    if (this.#closing.signal.aborted) return sleep(CLOSING_BACKOFF_MS)
    await pause(Math.min(MAX_BACKOFF_MS, 100 * 2 ** attempt), this.#closing.signal)
  }
}

// Without the rest of the request, as thousands of failures may wait for a long time
function originOf ({ id, headers }: FastifyRequest): AuditOrigin {
  const names = ['x-audit-actor', 'x-audit-client-address', 'x-audit-request-id', ...CALLER_HEADERS]
  return { id, headers: Object.fromEntries(names.map((name) => [name, headers[name]])) }
}
