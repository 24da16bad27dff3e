import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { withTimeout } from '#common/with-timeout.ts'
import { OutOfTime } from '../errors.ts'
import type { Precondition } from '#common/http/preconditions.ts'
import { CLAIM_LIFETIME_MS } from '../repositories/claims.ts'
import type { Move } from '../repositories/transfers.ts'
import { inProgress, type MoveParts, type Moves } from './move.ts'

/** Until then, a repeated create could insert the deleted patient again. */
const TOMBSTONE_MS = CLAIM_LIFETIME_MS + 60 * 60 * 1_000

/** How long the response waits for the deletion of the test results, after that of the patient. */
const TESTS_MS = 1_000

/** A move that another request has begun takes a few ms. */
const POLL_MS = 50
const MAX_POLLS = 10

/**
 * Deletes patients with their test results and all versions. Once its tombstone is stored, no request finds a
 * patient or its test results. A sweep removes what a failure leaves, and what was kept for `graceMs`.
 */
export class Deletion {
  #parts: MoveParts
  #moves: Moves
  #graceMs: number
  #log: FastifyBaseLogger

  constructor (parts: MoveParts, moves: Moves, graceMs: number, log: FastifyBaseLogger) {
    this.#parts = parts
    this.#moves = moves
    this.#graceMs = graceMs
    this.#log = log
  }

  /** @throws {PatientNotFound | PatientStale | PatientExists} */
  async remove (id: string, audit: string, precondition: Precondition) {
    const isKept = this.#graceMs > 0
    await this.#parts.patients.softDelete(id, audit, precondition, isKept)
    if (isKept) return
    try {
      await withTimeout(TESTS_MS, this.#finish(id), () => new OutOfTime())
    } catch (err) {
      this.#log.warn({ err }, 'deletion of test results not finished, the next sweep repeats it')
    }
  }

  /** Finishes interrupted deletions, and removes what is no longer needed. */
  async sweep () {
    const { patients } = this.#parts
    const old = new Date(Date.now() - TOMBSTONE_MS)
    const isOver = ({ _deleted }: { _deleted: Date }) => _deleted.getTime() + this.#graceMs <= Date.now()
    for await (const tombstone of patients.tombstones(old)) {
      const { _id, _kept, _deleted } = tombstone
      if (_kept && !(isOver(tombstone) && await patients.forget(tombstone))) continue
      await this.#finish(_id)
      if (_deleted < old) await patients.removeTombstone(_id)
    }
  }

  async #finish (id: string) {
    const { patients, tests, versions, transfers } = this.#parts
    await tests.removeAllOf(id)
    await this.#finishMoves(id)
    await versions.removeAllOf(id)
    await transfers.removeReferences(id)
    await patients.markFinished(id)
  }

  /** What was moved away has versions here until its move is finished. */
  async #finishMoves (id: string) {
    for (let attempt = 0; ; attempt++) {
      const open = (await this.#parts.transfers.open(id)).filter(({ from, test }) => from === id && test)
      const finished = []
      for (const move of open) finished.push(await this.#moves.resume(move as Move))
      if (!finished.includes(false)) return
      if (attempt === MAX_POLLS) throw inProgress()
      await sleep(POLL_MS)
    }
  }
}
