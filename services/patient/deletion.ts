import type { FastifyBaseLogger } from 'fastify'
import { withTimeout } from '#common/with-timeout.ts'
import { OutOfTime } from './errors.ts'
import type { Precondition } from './preconditions.ts'
import { CLAIM_LIFETIME_MS } from './repositories/claims.ts'
import type { Patients } from './repositories/patients.ts'
import type { TestResults } from './repositories/test-results.ts'

/** As long as a claim may still make a repeated create insert what was deleted. */
const TOMBSTONE_MS = CLAIM_LIFETIME_MS + 60 * 60 * 1_000

/** The answer waits this long for the tests to go: the deletion stands already. */
const TESTS_MS = 1_000

/**
 * Deletes patients with their tests. The tombstone is the deletion: from then on nothing shows the patient or
 * its tests, and what a failure leaves of the tests is removed later, at the latest after the next start.
 */
export class Deletion {
  #patients: Patients
  #tests: TestResults
  #log: FastifyBaseLogger

  constructor (patients: Patients, tests: TestResults, log: FastifyBaseLogger) {
    this.#patients = patients
    this.#tests = tests
    this.#log = log
  }

  /** @throws {PatientNotFound | PatientStale} */
  async remove (id: string, audit: string, precondition: Precondition) {
    await this.#patients.softDelete(id, audit, precondition)
    try {
      await withTimeout(TESTS_MS, this.#tests.removeAllOf(id), () => new OutOfTime())
    } catch (err) {
      this.#log.warn({ err }, 'the tests of a deleted patient are left to the next sweep')
    }
  }

  /** Finishes interrupted deletions, and forgets tombstones that nothing can need any more. */
  async sweep () {
    for await (const { _id, _deleted } of this.#patients.tombstones()) {
      await this.#tests.removeAllOf(_id)
      if (Date.now() - _deleted!.getTime() > TOMBSTONE_MS) await this.#patients.removeTombstone(_id)
    }
  }
}
