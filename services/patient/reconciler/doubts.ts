import type { FastifyBaseLogger } from 'fastify'
import { outcomeOf, type AttemptToFind, type Found } from './evidence.ts'

/** Until then, the database may carry out a command whose connection broke. */
const CHECK_MS = 10_000
const MAX_WAITING = 10_000

type Outcome = Exclude<Found, 'in progress'>

interface Doubt {
  /** Those of one request. */
  attempts: AttemptToFind[]
  found: (outcome: Outcome) => void
  /** Of `performance.now`. */
  due: number
}

/**
 * Writes that failed, although the database may have applied them and not said so.
 *
 * Each is looked for later, and `found` is called with its outcome. If one of the outcomes of an attempt is a
 * success, the attempt succeeded. Those for which it is not called are left to another process, which looks
 * for them once this one has ended.
 */
export class Doubts {
  #find: (attempt: AttemptToFind) => Promise<Found>
  #log: FastifyBaseLogger
  #checkMs: number
  #waiting = new Set<Doubt>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (find: (attempt: AttemptToFind) => Promise<Found>, log: FastifyBaseLogger, checkMs = CHECK_MS) {
    this.#find = find
    this.#log = log
    this.#checkMs = checkMs
  }

  add (attempts: AttemptToFind[], found: Doubt['found']) {
    if (this.#closed) return
    if (this.#waiting.size >= MAX_WAITING) {
      const ids = attempts.map(({ id }) => id)
      this.#log.error({ ids }, 'too many failed writes wait, another process checks this one later')
      return
    }
    this.#waiting.add({ attempts, found, due: performance.now() + this.#checkMs })
    this.#schedule()
  }

  /** Looks for all writes once. The database may still carry out one that is not there. */
  async close () {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#check([...this.#waiting])
  }

  #schedule () {
    this.#timer ??= setTimeout(async () => {
      const now = performance.now()
      await this.#check([...this.#waiting].filter(({ due }) => due <= now))
      this.#timer = undefined
      if (this.#waiting.size > 0 && !this.#closed) this.#schedule()
    }, this.#checkMs).unref()
  }

  /** Those that are in progress, or that the database does not answer for, wait again. */
  async #check (doubts: Doubt[]) {
    try {
      for (const doubt of doubts) {
        const isEarly = performance.now() < doubt.due
        const outcome = outcomeOf(await Promise.all(doubt.attempts.map((attempt) => this.#find(attempt))))
        if (outcome === 'in progress' || (outcome === 'failure' && isEarly)) continue
        // Unless a check that began before has found it
        if (this.#waiting.delete(doubt)) doubt.found(outcome)
      }
    } catch (err) {
      const waiting = this.#waiting.size
      this.#log.warn({ err, waiting }, 'cannot check the outcome of failed writes, trying again')
    }
  }
}
