import type { FastifyBaseLogger } from 'fastify'
import type { AttemptToFind, Found } from './evidence.ts'

/** Until then, the database may carry out a command whose connection broke. */
const CHECK_MS = 10_000
const MAX_WAITING = 10_000

interface Doubt {
  /** Those of one request. */
  attempts: AttemptToFind[]
  succeeded: () => void
  /** Of `performance.now`. */
  due: number
}

/**
 * Writes that were recorded as failed, although the database may have applied them and not said so.
 *
 * Each is looked for later. If it is there, `succeeded` is called, so that a second record says so: if one of
 * the outcomes of an attempt is a success, the attempt succeeded.
 */
export class Doubts {
  #find: (attempt: AttemptToFind) => Promise<Found>
  #log: FastifyBaseLogger
  #checkMs: number
  #waiting: Doubt[] = []
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (find: (attempt: AttemptToFind) => Promise<Found>, log: FastifyBaseLogger, checkMs = CHECK_MS) {
    this.#find = find
    this.#log = log
    this.#checkMs = checkMs
  }

  add (attempts: AttemptToFind[], succeeded: () => void) {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      const ids = attempts.map(({ id }) => id)
      this.#log.error({ ids }, 'the outcome of a failed write will not be checked')
      return
    }
    this.#waiting.push({ attempts, succeeded, due: performance.now() + this.#checkMs })
    this.#schedule()
  }

  /** Looks for all writes once. */
  async close () {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#check(Infinity)
  }

  #schedule () {
    this.#timer ??= setTimeout(async () => {
      await this.#check(performance.now())
      this.#timer = undefined
      if (this.#waiting.length > 0 && !this.#closed) this.#schedule()
    }, this.#checkMs).unref()
  }

  /** Those that are in progress, or that the database does not answer for, wait again. */
  async #check (now: number) {
    try {
      for (const doubt of this.#waiting.filter(({ due }) => due <= now)) {
        const found = await Promise.all(doubt.attempts.map((attempt) => this.#find(attempt)))
        if (found.includes('in progress')) continue
        this.#waiting.splice(this.#waiting.indexOf(doubt), 1)
        if (found.includes('success')) doubt.succeeded()
      }
    } catch (err) {
      const waiting = this.#waiting.length
      this.#log.warn({ err, waiting }, 'cannot check the outcome of failed writes, trying again')
    }
  }
}
