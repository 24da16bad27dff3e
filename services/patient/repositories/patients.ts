import { BSON, type Filter } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { invalid, PatientExists, PatientNotFound, PatientStale } from '../errors.ts'
import type { Precondition } from '../preconditions.ts'
import type { PatientDetails } from '../schemas/patient.ts'
import type { KeyMaker, SearchKeys } from '../search/keys.ts'
import { Documents, keyOf, type Key, type Stored } from './documents.ts'

const PATIENTS = 'patients'
const MAX_BYTES = 64 * 1_024

export interface StoredPatient extends Stored, PatientDetails {
  /** Missing in documents of before, until they are migrated. */
  _keys?: SearchKeys
  /** Only in documents of before: lastName, empty if there is none. */
  _lastName?: string
  lastUpdated: Date
}

interface Tombstone extends Stored {
  _deleted: Date
  /** All test results of the patient are deleted. */
  _finished?: boolean
}

/**
 * Each sort has an index, and each criterion that few patients fulfil, with `_id` for the order of pages. The
 * version finds the documents to migrate.
 */
export const patientIndexes: Index[] = [
  '_keys.lastName', '_keys.firstName', '_keys.fullName', '_keys.postCodes', '_keys.cities',
  '_keys.insuranceNumber', '_keys.phones', '_keys.identifiers', '_keys.version', 'gender', 'dateOfBirth',
  'lastUpdated'
].map((field) => ({ collection: PATIENTS, key: { [field]: 1, _id: 1 } }))

export const patientKey = (id: string): Key => ({ _id: id, _shardKey: id })

export class Patients extends Documents<StoredPatient> {
  readonly keys: KeyMaker

  constructor (database: Database, keys: KeyMaker) {
    super(database, PATIENTS, { missing: PatientNotFound, stale: PatientStale, exists: PatientExists })
    this.keys = keys
  }

  /**
   * A number of patients whose search keys are not of the current version.
   *
   * Asked for in three ranges, each of which an index answers.
   */
  async stale (limit: number): Promise<StoredPatient[]> {
    const { version } = this.keys
    for (const range of [{ $lt: version }, { $gt: version }, null]) {
      // Only tombstones have no lastUpdated
      const found = await this.first({ '_keys.version': range, lastUpdated: { $ne: null } }, limit)
      if (found.length > 0) return found
    }
    return []
  }

  /** Gives a patient the search keys of the current version, unless it has changed. Its version stays. */
  async rekey (patient: StoredPatient) {
    const filter = { ...keyOf(patient), _audit: patient._audit } as Filter<StoredPatient>
    const keys = { $set: { _keys: this.keys.keysOf(patient) }, $unset: { _lastName: '' } } as const
    await this.database.run(() => this.collection.updateOne(filter, keys))
  }

  /**
   * Replaces the patient by a tombstone without health data.
   *
   * @throws {PatientNotFound | PatientStale | PatientExists}
   */
  async softDelete (id: string, audit: string, precondition: Precondition) {
    const tombstone: Tombstone = { ...patientKey(id), _audit: audit, _deleted: new Date() }
    await this.replace(tombstone as unknown as StoredPatient, precondition)
  }

  /** The tombstones whose test results may not all be deleted, or that were made before `old`. */
  tombstones (old: Date) {
    // Only tombstones have no lastUpdated
    const unfinishedOrOld = { lastUpdated: null, $or: [{ _finished: null }, { _deleted: { $lt: old } }] }
    const filter = unfinishedOrOld as unknown as Filter<Tombstone>
    return this.#tombstones.find(filter, { projection: { _id: 1, _deleted: 1 } })
  }

  /** Marks a tombstone whose test results are all deleted. */
  async markFinished (id: string) {
    const filter = { ...patientKey(id), _deleted: { $exists: true } }
    await this.database.run(() => this.#tombstones.updateOne(filter, { $set: { _finished: true } }))
  }

  removeTombstone (id: string) {
    const filter = { ...patientKey(id), _deleted: { $exists: true } }
    return this.database.run(() => this.#tombstones.deleteOne(filter))
  }

  get #tombstones () {
    return this.database.collection<Tombstone>(PATIENTS)
  }
}

/**
 * The document of a patient.
 *
 * @throws {InvalidRequest} the patient is too large
 */
export function storedPatient (
  keys: KeyMaker, id: string, details: PatientDetails, audit: string, lastUpdated = new Date()
): StoredPatient {
  if (BSON.calculateObjectSize(details) > MAX_BYTES) throw invalid('', 'must not be larger than 64 KiB')
  return { ...patientKey(id), _audit: audit, _keys: keys.keysOf(details), ...details, lastUpdated }
}
