import { TransferInProgress } from '../errors.ts'
import { isLive, patientKey, type Patients } from '../repositories/patients.ts'
import { testKey, type StoredTest, type TestResults } from '../repositories/test-results.ts'
import { newTransfer, type Move, type Records, type Transfers } from '../repositories/transfers.ts'
import type { Versions } from '../repositories/versions.ts'

export interface MoveParts {
  patients: Patients
  tests: TestResults
  versions: Versions
  transfers: Transfers
}

/**
 * Moves test results from one patient to another, in another shard: there are no transactions between shards.
 * The commit point is the replacement of the test result by a tombstone, after a copy of it is stored in the
 * transfer. Then the test result is stored at its new place, under the same id. In between, no request finds
 * it; at no time is it found twice.
 */
export class Moves {
  #patients: Patients
  #tests: TestResults
  #versions: Versions
  #transfers: Transfers

  constructor ({ patients, tests, versions, transfers }: MoveParts) {
    this.#patients = patients
    this.#tests = tests
    this.#versions = versions
    this.#transfers = transfers
  }

  /**
   * Moves a test result on request. A repeat finishes an interrupted move, and finds a finished one.
   *
   * @throws {PatientNotFound | TestNotFound | TransferInProgress}
   */
  async move (id: string, from: string, to: string, records: Records): Promise<StoredTest> {
    await this.#patients.require(from)
    await this.#patients.require(to)
    const before = await this.#transfers.find(from, id)
    if (before?.open && !await this.resume(before as Move)) throw inProgress()
    const test = await this.#tests.find(testKey(from, id))
    if (test) {
      if (await this.begin(test, to, records) === false) throw inProgress()
    } else {
      const moved = await this.#transfers.find(from, id)
      if (moved?.to !== to) return this.#tests.throwMissing(testKey(from, id))
    }
    return this.#tests.load(testKey(to, id))
  }

  /** Moves a test result. False where another move of it is in progress. */
  async begin (test: StoredTest, to: string, records: Records, merge?: true) {
    const { _id, _shardKey: from } = test
    const move = { ...newTransfer(from, to, records, _id), ...(merge && { merge }), document: test } as Move
    return await this.#transfers.begin(move, async () => {
      await this.#complete(move)
      return true
    }) ?? false
  }

  /** Finishes a move that was interrupted. False while the request that began it may still finish it. */
  resume (move: Move) {
    return this.#transfers.resume(move, async () => {
      const { from, to, test, records, merge } = move
      if (!move.committed && !merge && !await this.#patients.exists(patientKey(to))) {
        const left = await this.#tests.findAny(testKey(from, test))
        if (left?._audit !== records.from) return this.#transfers.giveUp(move)
      }
      await this.#complete(move)
    })
  }

  // Each step may have been done before
  async #complete (move: Move) {
    if (!move.committed && !await this.#commit(move)) return this.#transfers.giveUp(move)
    const { from, to, test, document, lastUpdated, records } = move
    const [oldKey, newKey] = [testKey(from, test), testKey(to, test)]
    if (!move.placed) {
      // Where both patients are in one shard, the id can be used again only after that
      await this.#tests.removeTombstone(oldKey)
      await this.#tests.insertHidden({
        ...document, ...newKey, patientId: to, _audit: records.to, lastUpdated
      })
      await this.#transfers.update(move, { placed: true })
    }
    await this.#tests.unhide(newKey, records.to)
    await this.#versions.keep(document, newKey)
    await this.#versions.move(oldKey, newKey)
    await this.#follow(move)
    await this.#transfers.close(move)
  }

  /** Replaces the test result by a tombstone; false if it was deleted meanwhile. */
  async #commit (move: Move) {
    const { from, to, test, records } = move
    const key = testKey(from, test)
    while (!await this.#tests.replaceWithTombstone(move.document, records.from, to)) {
      const current = await this.#tests.findAny(key)
      if (current?._audit === records.from) break
      if (!current || current._deleted) return false
      await this.#transfers.update(move, { document: current })
    }
    await this.#transfers.update(move, { committed: true })
    return true
  }

  /** Does with the test result what was done with those of its new patient in the meantime. */
  async #follow ({ to, test, records }: Move) {
    const patient = await this.#patients.findAny(to)
    if (patient && (isLive(patient) || patient._kept)) return
    const moved = await this.#tests.find(testKey(to, test))
    if (patient?._mergedInto !== undefined) {
      if (moved) await this.begin(moved, patient._mergedInto, records, true)
      return
    }
    if (moved) await this.#tests.removeVersion(moved)
    await this.#versions.removeAllOf(to, test)
  }
}

export const inProgress = () => Object.assign(new TransferInProgress(), { retryAfter: 1 })
