import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { runInOperations } from '#common/telemetry/operation.ts'
import type { Replicas } from '../repositories/replicas.ts'

/** A write from before its record until its outcome is known and, if it failed, recorded. */
export interface Attempt {
  /** The id under which the process writes, which the record carries. */
  replica: string
  /** By the clock of this process. */
  since: Date
}

/** The time in which a process writes under one id. */
class Term {
  readonly id: string
  readonly open = new Set<Attempt>()
  /** Until when no other process takes it over (`performance.now`). */
  heldUntil: number
  beats = 0
  isUsed = false

  constructor (id: string, heldUntil: number) {
    this.id = id
    this.heldUntil = heldUntil
  }

  get isHeld () {
    return performance.now() < this.heldUntil
  }
}

/**
 * Shows other processes that this one runs, by a document that changes every `beatMs` from the first write.
 *
 * When it changes no longer, one of the others finds the outcomes of the attempts that carry its id
 * (`Reconciler`). By then this process writes no more under the id: twice `beatMs` after the last change it
 * takes a new one, and others take the old one over only later.
 *
 * After each beat, later attempts carry a new id, and the old one goes once all of its attempts have their
 * outcome. So others have few attempts to look at, and no clock says which.
 */
export class Heartbeat {
  #replicas: Replicas
  #log: FastifyBaseLogger
  #beatMs: number
  #current: Term | undefined
  /** By their id, the current one included. */
  #terms = new Map<string, Term>()
  /** The id of the term that is about to begin. */
  #next: string | undefined
  #adding: Promise<void> | undefined
  #beating: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (replicas: Replicas, log: FastifyBaseLogger, beatMs: number) {
    this.#replicas = replicas
    this.#log = log
    this.#beatMs = beatMs
  }

  /** Whether this process writes under an id, or has attempts there whose outcome is not known. */
  has (id: string) {
    return this.#terms.has(id) || id === this.#next
  }

  /**
   * To be called before the record of an attempt is sent.
   *
   * @throws {DatabaseUnavailable} nothing may be written, as no other process would find its outcome
   */
  begin (): Attempt | Promise<Attempt> {
    if (this.#current?.isHeld) return this.#beginIn(this.#current)
    return this.#add().then(() => this.#beginIn(this.#current!))
  }

  /** Keeps the attempt open also after its `end`, until the end of the one that is returned. */
  keep (attempt: Attempt): Attempt {
    const kept = { ...attempt }
    this.#terms.get(attempt.replica)?.open.add(kept)
    return kept
  }

  /** To be called when the outcome is known, and its record is stored unless it is a success in time. */
  end (attempt: Attempt) {
    this.#terms.get(attempt.replica)?.open.delete(attempt)
  }

  /**
   * Whether no other process may have recorded an outcome of the attempt. Otherwise, its success has to be
   * recorded: the other process may have looked before the write was done.
   */
  isHeld ({ replica }: Attempt) {
    return this.#terms.get(replica)?.isHeld === true
  }

  /** Leaves the documents where attempts have no outcome, so that another process finds them. */
  async close () {
    clearInterval(this.#timer)
    await this.#beating
    const ended = [...this.#terms.values()].filter(({ open }) => open.size === 0)
    await Promise.all(ended.map(({ id }) => this.#replicas.remove(id)))
      .catch((err) => this.#log.warn({ err }, 'heartbeat not removed, another process will do so'))
  }

  #beginIn (term: Term) {
    const attempt = { replica: term.id, since: new Date() }
    term.open.add(attempt)
    term.isUsed = true
    return attempt
  }

  /** Begins a term. Neither this nor the beats are a part of the request that happens to be first. */
  #add () {
    this.#adding ??= runInOperations([], () => this.#addTerm())
      .finally(() => { this.#adding = undefined })
    return this.#adding
  }

  async #addTerm () {
    const id = randomUUID()
    const sent = performance.now()
    // So that this process never takes itself for another
    this.#next = id
    try {
      await this.#replicas.add(id)
    } finally {
      // After an error it may be stored all the same, which others find
      this.#next = undefined
    }
    this.#current = new Term(id, sent + 2 * this.#beatMs)
    this.#terms.set(id, this.#current)
    this.#timer ??= setInterval(() => { this.#beating ??= this.#beat() }, this.#beatMs).unref()
  }

  async #beat () {
    try {
      const terms = [...this.#terms.values()]
      const isOver = (term: Term) => term !== this.#current && term.open.size === 0
      await Promise.all(terms.map((term) => isOver(term) ? this.#remove(term) : this.#show(term)))
      if (this.#current?.isUsed) await this.#add()
    } catch (err) {
      this.#log.warn({ err }, 'cannot store the heartbeat, trying again')
    }
    this.#beating = undefined
  }

  async #show (term: Term) {
    const sent = performance.now()
    const isHeld = await this.#replicas.beat(term.id, ++term.beats)
    if (isHeld) term.heldUntil = sent + 2 * this.#beatMs
    else this.#lose(term)
  }

  async #remove ({ id }: Term) {
    await this.#replicas.remove(id)
    this.#terms.delete(id)
  }

  #lose (term: Term) {
    this.#terms.delete(term.id)
    if (term === this.#current) this.#current = undefined
    this.#log.warn({ replica: term.id }, 'another process took over from this one, whose heartbeat was late')
  }
}
