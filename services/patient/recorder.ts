import { randomUUIDv7 } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { startDeadline } from '#common/database.ts'
import { STARTING_MS, withTimeout } from '#common/with-timeout.ts'
import type { AuditClient, AuditEntry } from './audit-client.ts'
import { isRefusal, OutOfTime } from './errors.ts'
import { ClaimLost } from './interactions.ts'
import type { Doubts } from './reconciler/doubts.ts'
import type { AttemptToFind } from './reconciler/evidence.ts'
import type { Attempt, Heartbeat } from './reconciler/heartbeat.ts'
import type { UnrecordedFailures } from './unrecorded-failures.ts'

// Callers get a response within 5 s. No work on the database starts so late that it could end after that, and
// the last part of the time is for the record of a failure. All in ms since the start of the request.
const RECORDED_BY = 2_500
const START_BY = 3_500
const DONE_BY = 4_500
const ANSWERED_BY = 4_900

/** The time that a record takes at the least, and at the most while the audit service is not to blame. */
const MIN_RECORD_MS = 50
const MAX_RECORD_MS = 1_000

/** The time limits of one request. */
export class RequestTime {
  readonly #arrived: number
  #started = performance.now()

  constructor (reply: FastifyReply) {
    this.#arrived = this.#started - reply.elapsedTime
  }

  /** The remaining ms until `ms` after the start. */
  left (ms: number) {
    return this.#started + ms - performance.now()
  }

  /** The remaining ms for a call to a service that is starting. */
  get leftToStart () {
    return this.#arrived + STARTING_MS - performance.now()
  }

  /** Resets the start: the start of a service does not count against the request. */
  restart () {
    this.#started = performance.now()
  }

  /** @throws {OutOfTime} `work` is not done in time; it continues, but starts no more database commands */
  limit<T> (work: () => T | Promise<T>): T | Promise<T> {
    const result = startDeadline.run(this.#started + START_BY, work)
    return result instanceof Promise ? withTimeout(this.left(DONE_BY), result, () => new OutOfTime()) : result
  }
}

/** What the records of one interaction have in addition to its resource. */
export type Content = Omit<AuditEntry, 'resource' | 'outcome'>

interface RecorderParts {
  audit: AuditClient
  failures: UnrecordedFailures
  heartbeat: Heartbeat
  doubts: Doubts
}

/** Records one interaction. A failure is recorded after each record that may not be stored in time. */
export class Recorder {
  readonly time: RequestTime
  #parts: RecorderParts
  #entry: AuditEntry
  #request: FastifyRequest
  #attempt: Attempt | undefined
  #attemptOf: string | undefined
  /** Keeps the attempt open once it has failed, until it is known whether its write was applied. */
  #doubtful: Attempt | undefined

  constructor (parts: RecorderParts, time: RequestTime, entry: AuditEntry, request: FastifyRequest) {
    this.#parts = parts
    this.time = time
    this.#entry = entry
    this.#request = request
  }

  /** @throws {AuditUnavailable} nothing may be disclosed */
  async recordDisclosure (content: Content) {
    await this.#recordOrFail({ ...this.#entry, ...content }, ANSWERED_BY, { disclosed: [] })
  }

  /**
   * Returns the id of the record.
   *
   * @throws {AuditUnavailable | DatabaseUnavailable} nothing may be written
   */
  async recordAttempt (content: Content) {
    const attempt = this.#parts.heartbeat.begin()
    this.#attempt = attempt instanceof Promise ? await attempt : attempt
    this.#attemptOf = content.attemptOf
    const { replica } = this.#attempt
    return this.#recordOrFail({ ...this.#entry, ...content, replica }, RECORDED_BY)
  }

  /**
   * Ends the attempt `attemptOf`, which has succeeded. A record says so only where another process may have
   * recorded a failure, as it took this one for ended.
   *
   * @throws {AuditUnavailable} the record is stored later
   */
  async succeed (attemptOf: string) {
    if (this.#parts.heartbeat.isHeld(this.#attempt!)) return this.#end()
    await this.#recordOrAdd({ ...this.#entry, attemptOf, outcome: 'success' })
  }

  /**
   * Records that the interaction failed with `error`.
   *
   * @throws {AuditUnavailable} the record is stored later, so the error must not disclose anything yet
   */
  async recordFailure (content: Content, error: unknown) {
    try {
      await this.#recordOrAdd(this.#failure(content))
    } catch (unrecorded) {
      if (error instanceof ClaimLost || isRefusal(error)) throw unrecorded
    }
  }

  /** Records the outcome of `act`, which is not known yet, after the response. */
  recordLater (act: Promise<unknown>, content: Content & { attemptOf: string }) {
    const { failures } = this.#parts
    const succeed = () => this.succeed(content.attemptOf).catch(() => {})
    failures.waitFor(act.then(succeed, () => this.#add(randomUUIDv7(), this.#failure(content))))
  }

  /**
   * Has it recorded later whether the write was applied although it failed; each recorder has one attempt. If
   * this process ends before that, another one does so. To be called before the failure is recorded.
   */
  doubt (attempts: string[], recorders: Recorder[]) {
    const sought = recorders.map((recorder, i) => recorder.#sought(attempts[i]!))
    for (const recorder of recorders) recorder.#doubtful = this.#parts.heartbeat.keep(recorder.#attempt!)
    this.#parts.doubts.add(sought, (outcome) => recorders.forEach((recorder, i) => {
      const entry = { ...recorder.#entry, attemptOf: attempts[i]!, outcome }
      const end = () => recorder.#parts.heartbeat.end(recorder.#doubtful!)
      recorder.#parts.failures.add(randomUUIDv7(), entry, recorder.#request, end)
    }))
  }

  #sought (id: string): AttemptToFind {
    const createdDate = this.#attempt!.since.toISOString()
    return { id, attemptOf: this.#attemptOf, resource: this.#entry.resource, createdDate }
  }

  /** Stores an outcome later if it cannot be stored now. */
  async #recordOrAdd (outcome: AuditEntry) {
    const id = randomUUIDv7()
    try {
      await this.#record(id, outcome, ANSWERED_BY)
    } catch (error) {
      this.#add(id, outcome)
      throw error
    }
    this.#end()
  }

  #add (id: string, outcome: AuditEntry) {
    this.#parts.failures.add(id, outcome, this.#request, () => this.#end())
  }

  async #recordOrFail (entry: AuditEntry, by: number, failure: Content = {}) {
    const id = randomUUIDv7()
    try {
      await this.#record(id, entry, by)
    } catch (error) {
      // The record may still be stored, unless it was not sent
      if (error instanceof OutOfTime && !error.cause) this.#end()
      else this.#add(randomUUIDv7(), this.#failure({ ...failure, attemptOf: id }))
      throw error
    }
    return id
  }

  async #record (id: string, entry: AuditEntry, by: number) {
    const { audit } = this.#parts
    const starting = audit.mayBeStarting
    const ms = starting ? this.time.leftToStart : this.time.left(by)
    // The audit service is not to blame for what was late before
    if (ms < MIN_RECORD_MS) throw new OutOfTime()
    try {
      await audit.record(id, entry, this.#request, ms)
    } catch (cause) {
      throw ms < MAX_RECORD_MS ? Object.assign(new OutOfTime(), { cause }) : cause
    }
    if (starting) this.time.restart()
  }

  #end () {
    if (this.#attempt) this.#parts.heartbeat.end(this.#attempt)
  }

  #failure (content: Content): AuditEntry {
    const replica = this.#doubtful?.replica
    return { ...this.#entry, ...content, outcome: 'failure', ...(replica && { replica }) }
  }
}
