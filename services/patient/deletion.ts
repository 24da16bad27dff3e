import type { FastifyBaseLogger } from 'fastify'
import { withTimeout } from '#common/with-timeout.ts'
import { OutOfTime } from './errors.ts'
import type { Precondition } from './preconditions.ts'
import { CLAIM_LIFETIME_MS } from './repositories/claims.ts'
import type { Patients } from './repositories/patients.ts'
import type { TestResults } from './repositories/test-results.ts'

/** Until then, a repeated create could insert the deleted patient again. */
const TOMBSTONE_MS = CLAIM_LIFETIME_MS + 60 * 60 * 1_000

/** How long the response waits for the deletion of the test results, after that of the patient. */
const TESTS_MS = 1_000

/**
 * Deletes patients with their test results. Once its tombstone is stored, no request finds a patient or its
 * test results. A sweep, hourly and after each start, removes what a failure leaves.
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

  /** @throws {PatientNotFound | PatientStale | PatientExists} */
  async remove (id: string, audit: string, precondition: Precondition) {
    await this.#patients.softDelete(id, audit, precondition)
    try {
      await withTimeout(TESTS_MS, this.#finish(id), () => new OutOfTime())
    } catch (err) {
      this.#log.warn({ err }, 'deletion of test results not finished, the next sweep repeats it')
    }
  }

  /** Finishes interrupted deletions, and removes tombstones that are no longer needed. */
  async sweep () {
    const old = new Date(Date.now() - TOMBSTONE_MS)
    for await (const { _id, _deleted } of this.#patients.tombstones(old)) {
      await this.#finish(_id)
      if (_deleted < old) await this.#patients.removeTombstone(_id)
    }
  }

  async #finish (id: string) {
    await this.#tests.removeAllOf(id)
    await this.#patients.markFinished(id)
  }
}
