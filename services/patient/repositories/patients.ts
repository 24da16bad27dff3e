import type { Document, Filter } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { PatientExists, PatientNotFound, PatientStale } from '../errors.ts'
import type { Precondition } from '../preconditions.ts'
import type { PatientCriteria, PatientDetails } from '../schemas.ts'
import { Documents, type Key, type Stored } from './documents.ts'

const PATIENTS = 'patients'

export interface StoredPatient extends Stored, PatientDetails {
  /** lastName to sort by: a missing one sorts as empty. */
  _lastName: string
  lastUpdated: Date
}

interface Tombstone extends Stored {
  _deleted: Date
  /** All test results of the patient are deleted. */
  _finished?: boolean
}

/** Each criterion and each sort has an index; `_id` is the tail that a sort and a page need. */
export const patientIndexes: Index[] = [
  '_lastName', 'firstName', 'fullName', 'gender', 'dateOfBirth', 'postCode', 'insuranceNumber',
  'preferredContactNumber', 'lastUpdated'
].map((field) => ({ collection: PATIENTS, key: { [field]: 1, _id: 1 } }))

export const patientKey = (id: string): Key => ({ _id: id, _shardKey: id })

export class Patients extends Documents<StoredPatient> {
  constructor (database: Database) {
    super(database, PATIENTS, { missing: PatientNotFound, stale: PatientStale, exists: PatientExists })
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
    // Tombstones alone have no lastUpdated
    const unfinishedOrOld = { lastUpdated: null, $or: [{ _finished: null }, { _deleted: { $lt: old } }] }
    const filter = unfinishedOrOld as unknown as Filter<Tombstone>
    return this.#tombstones.find(filter, { projection: { _id: 1, _deleted: 1 } })
  }

  /** Notes that a deleted patient's test results are deleted too. */
  async markFinished (id: string) {
    const filter = { ...patientKey(id), _deleted: { $exists: true } }
    await this.database.run(() => this.#tombstones.updateOne(filter, { $set: { _finished: true } }))
  }

  removeTombstone (id: string) {
    return this.database.run(() => this.#tombstones.deleteOne({ ...patientKey(id), _deleted: { $exists: true } }))
  }

  get #tombstones () {
    return this.database.collection<Tombstone>(PATIENTS)
  }
}

export function storedPatient (id: string, details: PatientDetails, audit: string, lastUpdated = new Date()): StoredPatient {
  return { ...patientKey(id), _audit: audit, _lastName: details.lastName ?? '', ...details, lastUpdated }
}

/** The filter that a search stands for; matches are exact. */
export function patientFilter ({ id, lastName, dateOfBirthFrom, dateOfBirthTo, ...exact }: PatientCriteria): Document {
  const filter: Document = { ...exact }
  if (id !== undefined) Object.assign(filter, patientKey(id.toLowerCase()))
  if (lastName !== undefined) filter._lastName = lastName
  if (dateOfBirthFrom !== undefined) filter.dateOfBirth = { $gte: withoutFirsts(dateOfBirthFrom) }
  if (dateOfBirthTo !== undefined) filter.dateOfBirth = { ...filter.dateOfBirth, $lte: `${dateOfBirthTo}-99` }
  return filter
}

// Of the dates whose first day is 1980-01-01, '1980' comes first in the order of strings
function withoutFirsts (date: string) {
  return date.replace(/(-01){1,2}$/, '')
}
