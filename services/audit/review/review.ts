import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { pause } from '#common/pause.ts'
import { runInOperations } from '#common/telemetry/operation.ts'
import type { LogStore } from '../log/store.ts'
import { Counters } from './counters.ts'
import { Evaluator } from './evaluator.ts'
import { entriesOf } from './entries.ts'
import { ReviewPosition } from './position.ts'
import type { UsualHours } from './usual-hours.ts'

/** How often a replica looks for what others sequenced before they were killed. */
const POLL_MS = 2_000
const RETRY_MS = 250
/** What is sequenced within this time is followed together, and beside no request that stored it. */
const GATHERING_MS = 300
const FAILED_MS = 1_000

/**
 * Follows the log in the order of its indexes, batch by batch, and stores what auditors review.
 *
 * Each replica makes sure that what it sequenced is followed, by itself or by the one that holds the lease.
 * The position is stored after everything that a batch leads to, so that a batch may be followed again after
 * a process was killed; each document has the index up to which it has the records, so that a repeat changes
 * nothing.
 */
export class Review {
  readonly counters: Counters
  readonly position: ReviewPosition
  readonly evaluator: Evaluator
  #store: LogStore
  #log: FastifyBaseLogger
  #running: Promise<void> | undefined
  #stopping = new AbortController()
  #woken = Promise.withResolvers<void>()

  constructor (store: LogStore, log: FastifyBaseLogger, usualHours: UsualHours) {
    this.#store = store
    this.#log = log
    this.counters = new Counters(store.database)
    this.position = new ReviewPosition(store.database)
    this.evaluator = new Evaluator(store.database, this.counters, usualHours)
  }

  /** Starts to follow the log, once the database answers. */
  async start () {
    await this.#store.database.connected
    this.#running ??= runInOperations([], () => this.#run())
  }

  /** Says that the log has become longer. */
  wake () {
    this.#woken.resolve()
  }

  /** Ends after the batch that is being followed. */
  async close () {
    this.#stopping.abort()
    this.wake()
    await this.#running
  }

  /** Follows the log to its end. @throws {DatabaseUnavailable | LogDamaged} */
  async follow () {
    const size = await this.#store.size()
    let { position, findingsFrom } = await this.position.read(size)
    while (position < size && !this.#stopping.signal.aborted) {
      if (await this.position.acquire()) {
        position = (await this.position.read(size)).position
        await this.#followFrom(position, findingsFrom)
        await this.position.release()
      } else {
        await pause(RETRY_MS, this.#stopping.signal)
      }
      position = (await this.position.read(size)).position
    }
  }

  async #followFrom (position: number, findingsFrom: number) {
    for await (const batch of this.#store.batchesFrom(position)) {
      const entries = await entriesOf(this.#store, batch)
      await this.evaluator.evaluate(entries, findingsFrom)
      await this.counters.count(entries)
      if (this.#stopping.signal.aborted) return
      if (!await this.position.advance(batch._id, entries.end)) return
    }
  }

  async #run () {
    while (!this.#stopping.signal.aborted) {
      this.#woken = Promise.withResolvers()
      let delay = POLL_MS
      try {
        await this.follow()
      } catch (err) {
        const level = err instanceof DatabaseUnavailable ? 'warn' : 'error'
        this.#log[level]({ err }, 'the review cannot follow the log now')
        delay = FAILED_MS
      }
      await Promise.race([this.#woken.promise, sleep(delay, undefined, { ref: false })])
      await pause(GATHERING_MS, this.#stopping.signal)
    }
  }
}
