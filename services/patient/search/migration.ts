import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { pause } from '#common/pause.ts'
import { STARTING_MS } from '#common/with-timeout.ts'
import type { AuditClient } from '../audit-client.ts'
import type { Claims } from '../repositories/claims.ts'
import type { Patients } from '../repositories/patients.ts'

const LEASE = 'search-keys'
const LEASE_MS = 60_000
const BATCH = 50
/** How often a service looks for patients that a replica of another version has stored. */
const CHECK_MS = 60_000

/**
 * Gives patients that were stored by another version of the service the search keys of this version, in the
 * background. One replica at a time does it, at a bounded rate. A restart continues where it was interrupted.
 */
export class KeyMigration {
  /** Whether all patients have search keys of this version. */
  done = false
  #patients: Patients
  #claims: Claims
  #audit: AuditClient
  #log: FastifyBaseLogger
  #pauseMs: number
  #closing = new AbortController()

  /** @param perSecond how many patients are changed a second, at the most */
  constructor (
    patients: Patients, claims: Claims, audit: AuditClient, log: FastifyBaseLogger, perSecond: number
  ) {
    this.#patients = patients
    this.#claims = claims
    this.#audit = audit
    this.#log = log
    this.#pauseMs = 1_000 * BATCH / perSecond
  }

  /** Migrates all patients, then those that come later, until `close`. */
  async keepMigrated () {
    while (!this.#closing.signal.aborted) {
      try {
        await this.migrate()
      } catch (err) {
        this.#log.warn({ err }, 'cannot migrate search keys, trying again')
      }
      await pause(CHECK_MS, this.#closing.signal)
    }
  }

  /** @throws {AuditUnavailable} nothing was changed, as it could not be recorded */
  async migrate () {
    let changed = 0
    for (;;) {
      const patients = await this.#patients.stale(BATCH)
      this.done = patients.length === 0
      if (this.done || this.#closing.signal.aborted) break
      if (await this.#claims.lease(LEASE, LEASE_MS)) {
        if (changed === 0) await this.#record()
        for (const patient of patients) await this.#patients.rekey(patient)
        changed += patients.length
      }
      await pause(this.#pauseMs, this.#closing.signal)
    }
    if (changed > 0) this.#log.info({ changed }, 'search keys migrated')
  }

  close () {
    this.#closing.abort()
  }

  #record () {
    const entry = { resource: { type: 'patient', operation: 'maintenance' } }
    const origin = { id: randomBytes(16).toString('hex'), headers: {} }
    return this.#audit.record(randomUUIDv7(), entry, origin, STARTING_MS)
  }
}
