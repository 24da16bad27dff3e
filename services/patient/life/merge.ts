import { setTimeout as sleep } from 'node:timers/promises'
import { startDeadline } from '#common/database.ts'
import { inParallel } from '#common/in-parallel.ts'
import { isRefusal } from '../errors.ts'
import { isLive, patientKey, type Patients, type StoredPatient } from '../repositories/patients.ts'
import type { TestResults } from '../repositories/test-results.ts'
import {
  newTransfer, type Move, type Records, type Transfer, type Transfers
} from '../repositories/transfers.ts'
import type { Versions } from '../repositories/versions.ts'
import { inProgress, type MoveParts, type Moves } from './move.ts'
import { isUnited, united } from './unite.ts'

/** How long the response waits for the test results. */
const TESTS_MS = 2_000
const BATCH = 48
const CONCURRENT_MOVES = 4
const POLL_MS = 50

/**
 * Merges one patient into another: what identifies the patient is united first, then the other patient is
 * replaced by a tombstone that refers to the one that stays, which is the commit point, and then the test
 * results are moved one by one.
 */
export class Merges {
  #patients: Patients
  #tests: TestResults
  #versions: Versions
  #transfers: Transfers
  #moves: Moves

  constructor ({ patients, tests, versions, transfers }: MoveParts, moves: Moves) {
    this.#patients = patients
    this.#tests = tests
    this.#versions = versions
    this.#transfers = transfers
    this.#moves = moves
  }

  /**
   * Merges `from` into `to` on request. A repeat finishes an interrupted merge, and finds a finished one.
   * Test results that take longer are moved after the response.
   *
   * @throws {PatientNotFound | TransferInProgress | InvalidRequest}
   */
  async merge (from: string, to: string, records: Records): Promise<StoredPatient> {
    for (const other of await this.#conflicting(from, to)) await this.#finishOther(other)
    const source = await this.#patients.findAny(from)
    if (source && isLive(source)) {
      const merge = newTransfer(from, to, records)
      const { committed, finished } = this.#run(merge, (work) => this.#transfers.begin(merge, work))
      if (!await committed) throw inProgress()
      await untilLate(finished)
    } else if (await this.#patients.replacementOf(from) !== to) {
      return this.#patients.throwMissing(patientKey(from))
    }
    return this.#patients.load(patientKey(to))
  }

  /** Finishes an interrupted merge. Not `committed` while the request that began it may still do so. */
  resume (merge: Transfer) {
    return this.#run(merge, (work) => this.#transfers.resume(merge, work))
  }

  async #finishOther (other: Transfer) {
    const { committed, finished } = this.resume(other)
    const isSettled = await committed.catch((error) => {
      // One that is refused is given up
      if (isRefusal(error)) return true
      throw error
    })
    if (isSettled) await untilLate(finished)
    else if (!other.committed) throw inProgress()
  }

  /** `committed` is settled before `finished`, which never rejects: a sweep repeats what failed. */
  #run (merge: Transfer, take: (work: () => Promise<true>) => Promise<boolean | undefined>) {
    const { promise: committed, resolve, reject } = Promise.withResolvers<boolean>()
    const finished = take(async () => {
      await this.#commit(merge)
      resolve(true)
      // After the response, the deadline of the request does not apply
      await startDeadline.exit(() => this.#moveAll(merge))
      return true
    }).then((isTaken) => resolve(Boolean(isTaken)), reject)
    return { committed, finished }
  }

  /** The open merges without which this one has to wait, as one would be merged into a merged patient. */
  async #conflicting (from: string, to: string) {
    const open = await this.#transfers.open(from, to)
    return open.filter((other) => other.test === undefined &&
      (other.from === from || other.from === to || other.to === from))
  }

  /** Each step may have been done before. */
  async #commit (merge: Transfer) {
    if (merge.committed) return
    try {
      await this.#unite(merge)
    } catch (error) {
      // Nothing else was done
      if (isRefusal(error)) await this.#transfers.giveUp(merge)
      throw error
    }
    await this.#transfers.update(merge, { committed: true })
  }

  async #unite (merge: Transfer) {
    const { _id, from, to, records } = merge
    // The other one, begun at the same time, finds this one
    const others = await this.#conflicting(from, to)
    if (others.some((other) => other._id !== _id)) throw inProgress()
    const source = await this.#patients.findAny(from)
    if (source?._audit === records.from) return
    if (!source || !isLive(source)) return this.#patients.throwMissing(patientKey(from))
    await this.#transfers.update(merge, { document: source })
    const key = patientKey(to)
    let target = await this.#patients.load(key)
    if (!isUnited(target, source)) {
      const { keys } = this.#patients
      const unite = (current: StoredPatient) => united(keys, current, source, records.to)
      target = await this.#patients.change(key, records.to, {}, unite)
    }
    const tombstone = { ...patientKey(from), _audit: records.from, _deleted: new Date(), _mergedInto: to }
    if (isUnited(target, source) && await this.#patients.replaceWithTombstone(source, tombstone)) return
    // One of the patients has changed, unless an earlier attempt succeeded and its connection broke
    if ((await this.#patients.findAny(from))?._audit !== records.from) throw inProgress()
  }

  async #moveAll (merge: Transfer) {
    const { from, to, document } = merge
    await this.#versions.keep(document!, patientKey(to))
    await this.#versions.move(patientKey(from), patientKey(to))
    while (await this.#moveSome(merge)) continue
    await this.#versions.removeAllOf(from)
    if (await this.#patients.isGone(to)) await this.#versions.removeAllOf(to)
    await this.#transfers.removeReferences(from)
    await this.#patients.markFinished(from)
    await this.#transfers.remove(merge)
  }

  /** False if there was nothing left to move. */
  async #moveSome ({ from, to, records }: Transfer) {
    const byId = { field: '_id', direction: 1 } as const
    const { documents } = await this.#tests.page({ _shardKey: from }, byId, undefined, BATCH)
    // Afterwards, as test results that are being moved are not on the page
    const open = (await this.#transfers.open(from)).filter(({ test }) => test !== undefined) as Move[]
    const left = [
      ...open.map((move) => () => this.#moves.resume(move)),
      ...documents.map((test) => () => this.#moves.begin(test, to, records, true))
    ]
    const isMoved = await inParallel(left, (task) => task(), { limit: CONCURRENT_MOVES })
    // Another request moves one of them
    if (isMoved.includes(false)) await sleep(POLL_MS)
    return left.length > 0
  }
}

const untilLate = (finished: Promise<void>) =>
  Promise.race([finished, sleep(TESTS_MS, undefined, { ref: false })])
