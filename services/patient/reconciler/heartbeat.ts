import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { runInOperations } from '#common/telemetry/operation.ts'
import type { AuditClient } from '../audit-client.ts'
import type { Replicas } from '../repositories/replicas.ts'

/** Above the difference between the clocks of replicas of the audit service. */
const CLOCKS_MS = 10_000
/** The same, for the clocks of both services: only used before the first response of the audit service. */
const OTHER_CLOCKS_MS = 10 * 60_000

/** A write from before its record until its outcome is known and, if it failed, recorded. */
export interface Attempt {
  /** The id of the process, which the record carries. */
  replica: string
  /** Its record has this date of the register, or a later one. */
  since: Date
}

/**
 * Shows other processes that this one runs, by a document that changes every `beatMs` from the first write.
 *
 * The document has the date since when attempts may have no outcome yet. When it changes no longer, one of
 * the others finds their outcomes (`Reconciler`). By then this process writes no more under its id: twice
 * `beatMs` after the last change it takes a new one, and others take the old one over only later.
 */
export class Heartbeat {
  #replicas: Replicas
  #audit: Pick<AuditClient, 'date'>
  #log: FastifyBaseLogger
  #beatMs: number
  #id = randomUUID()
  #beats = 0
  /** Until when no other process takes this one over (`performance.now`). */
  #heldUntil = -Infinity
  #open = new Set<Attempt>()
  #adding: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (
    replicas: Replicas, audit: Pick<AuditClient, 'date'>, log: FastifyBaseLogger, beatMs: number
  ) {
    this.#replicas = replicas
    this.#audit = audit
    this.#log = log
    this.#beatMs = beatMs
  }

  get id () {
    return this.#id
  }

  /**
   * To be called before the record of an attempt is sent.
   *
   * @throws {DatabaseUnavailable} nothing may be written, as no other process would find its outcome
   */
  begin (): Attempt | Promise<Attempt> {
    if (performance.now() < this.#heldUntil) return this.#beginNow()
    // Neither this nor the beats that follow are a part of the request that happens to be first
    const add = () => this.#add().finally(() => { this.#adding = undefined })
    this.#adding ??= runInOperations([], add)
    return this.#adding.then(() => this.#beginNow())
  }

  /** To be called when the outcome is known, and the record of a failure is stored. */
  end (attempt: Attempt) {
    this.#open.delete(attempt)
  }

  /**
   * Whether no other process may have recorded an outcome of the attempt. Otherwise, its success has to be
   * recorded: the other process may have looked before the write was done.
   */
  isHeld ({ replica }: Attempt) {
    return replica === this.#id && performance.now() < this.#heldUntil
  }

  /** Leaves the document where attempts have no outcome, so that another process finds it. */
  async close () {
    clearInterval(this.#timer)
    if (this.#timer === undefined || this.#open.size > 0) return
    await this.#replicas.remove(this.#id)
      .catch((err) => this.#log.warn({ err }, 'heartbeat not removed, another process will do so'))
  }

  #beginNow () {
    const attempt = { replica: this.#id, since: this.#now() }
    this.#open.add(attempt)
    return attempt
  }

  async #add () {
    clearInterval(this.#timer)
    const sent = performance.now()
    const id = randomUUID()
    await this.#replicas.add(id, this.#from())
    this.#id = id
    this.#beats = 0
    this.#heldUntil = sent + 2 * this.#beatMs
    this.#timer = setInterval(() => this.#beat(), this.#beatMs).unref()
  }

  async #beat () {
    const [id, sent] = [this.#id, performance.now()]
    try {
      const isHeld = await this.#replicas.beat(id, ++this.#beats, this.#from())
      if (id !== this.#id) return
      if (isHeld) this.#heldUntil = sent + 2 * this.#beatMs
      else this.#lose()
    } catch (err) {
      this.#log.warn({ err }, 'no heartbeat, the next one is sent soon')
    }
  }

  #lose () {
    clearInterval(this.#timer)
    this.#heldUntil = -Infinity
    this.#log.warn({ replica: this.#id }, 'another process has taken this one for ended')
  }

  #now () {
    return this.#audit.date ?? new Date(Date.now() - OTHER_CLOCKS_MS)
  }

  /** The oldest attempt is the first in the set. */
  #from () {
    const [oldest] = this.#open
    return new Date((oldest?.since ?? this.#now()).getTime() - CLOCKS_MS)
  }
}
