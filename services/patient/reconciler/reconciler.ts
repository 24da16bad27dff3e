import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { callerFieldsOf } from '#common/audit-record.ts'
import { derivedUuid } from '#common/derived-uuid.ts'
import { inParallel } from '#common/in-parallel.ts'
import { pause } from '#common/pause.ts'
import type { AuditClient, ReconciledEntry } from '../audit-client.ts'
import { AuditUnavailable } from '../errors.ts'
import type { Sweep } from '../life/sweep.ts'
import type { Replica, Replicas } from '../repositories/replicas.ts'
import { outcomeOf, type Found, type OpenAttempt } from './evidence.ts'
import type { Heartbeat } from './heartbeat.ts'

/** For the audit service, which may have to start first. */
const CALL_MS = 50_000

interface Parts {
  replicas: Replicas
  heartbeat: Heartbeat
  audit: AuditClient
  sweep: Sweep
  /** What became of an attempt. */
  find (attempt: OpenAttempt): Promise<Found>
}

/** When a replica was first seen as it is, and when it was last looked at (`performance.now`). */
interface Sighting {
  state: string
  since: number
  last: number
}

/**
 * Finds and records the outcomes of attempts whose process has ended before it could do so.
 *
 * A process has ended if its heartbeat has not changed for three times `beatMs`, by the clock of this
 * process: those of others do not matter. One process takes it over by a conditional update. Others may do
 * the same if that one ends too: an outcome has the same record, whoever finds it.
 */
export class Reconciler {
  #parts: Parts
  #log: FastifyBaseLogger
  #beatMs: number
  #id = randomUUID()
  #seen = new Map<string, Sighting>()
  #closing = new AbortController()

  constructor (parts: Parts, log: FastifyBaseLogger, beatMs: number) {
    this.#parts = parts
    this.#log = log
    this.#beatMs = beatMs
  }

  /** Watches other processes until `close`. Does not reject. */
  async run () {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#look()
        .catch((err) => this.#log.warn({ err }, 'cannot reconcile attempts, trying again'))
      await pause(this.#beatMs, signal)
    }
  }

  close () {
    this.#closing.abort()
  }

  async #look () {
    const { replicas, heartbeat, sweep } = this.#parts
    const all = await replicas.all()
    const ids = new Set(all.map(({ _id }) => _id))
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id)
    const ended = all.filter((replica) => !heartbeat.has(replica._id) && this.#hasEnded(replica))
    if (ended.length === 0) return
    // Moves and merges are finished or given up first
    await sweep.run()
    try {
      for (const replica of ended) {
        if (await replicas.take(replica, this.#id)) await this.#takeOver(replica)
      }
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) throw error
      this.#log.warn({ err: error }, 'cannot reconcile attempts, trying again')
    }
    // However long this took, the database was available, and others could beat
    for (const sighting of this.#seen.values()) sighting.last = performance.now()
  }

  #hasEnded ({ _id, beats, takenBy }: Replica) {
    // One that this process has taken, and could not finish
    if (takenBy === this.#id) return true
    const now = performance.now()
    const state = `${beats} ${takenBy}`
    const before = this.#seen.get(_id)
    // After a break, as when the database was not available, nobody could beat
    const isSame = before?.state === state && now - before.last < 2 * this.#beatMs
    const since = isSame ? before.since : now
    this.#seen.set(_id, { state, since, last: now })
    return now - since >= 3 * this.#beatMs
  }

  async #takeOver (replica: Replica) {
    const { replicas } = this.#parts
    const found = { success: 0, failure: 0, 'in progress': 0 }
    for (let isMore = true; isMore && found['in progress'] === 0 && !this.#closing.signal.aborted;) {
      isMore = await this.#reconcile(replica, found)
    }
    if (this.#closing.signal.aborted || found['in progress'] > 0) return
    await replicas.remove(replica._id, this.#id)
    this.#log.info({ replica: replica._id, ...found }, 'reconciled the attempts of a process that ended')
  }

  /** Records the outcomes of the oldest attempts. Whether there may be more. */
  async #reconcile ({ _id }: Replica, counts: Record<Found, number>) {
    const { audit, find } = this.#parts
    const { attempts, more } = await audit.attempts(_id, CALL_MS)
    const requests = Object.values(Object.groupBy(attempts, requestOf))
    // The attempts of the last request may not all be among these
    if (more && requests.length > 1) requests.pop()
    await inParallel(requests as OpenAttempt[][], async (request) => {
      const found = await Promise.all(
        request.map(async (attempt) => ({ attempt, found: await find(attempt) }))
      )
      const outcome = outcomeOf(found.map(({ found }) => found))
      counts[outcome] += request.length
      if (outcome === 'in progress') return
      // Those that show the outcome come last: until then, they show that of the others
      found.sort((a, b) => Number(a.found === 'success') - Number(b.found === 'success'))
      for (const { attempt } of found) await this.#record(attempt, outcome)
    }, { signal: this.#closing.signal })
    return more
  }

  #record (attempt: OpenAttempt, outcome: 'success' | 'failure') {
    const { id: attemptOf, resource, operationId } = attempt
    const caller = callerFieldsOf(attempt)
    const entry: ReconciledEntry = { ...caller, resource, outcome, attemptOf, reconciled: true }
    const id = recordId(attemptOf, outcome)
    return this.#parts.audit.record(id, entry, { id: operationId, headers: {} }, CALL_MS, true)
  }
}

/** Moves and merges have two attempts. */
function requestOf ({ id, resource: { operation }, requestId, operationId }: OpenAttempt) {
  return ['move', 'merge'].includes(operation) ? requestId ?? operationId : id
}

/** The same for each process, so that an outcome is recorded once. */
export function recordId (attempt: string, outcome: string) {
  return derivedUuid(`${outcome} of ${attempt}`)
}
