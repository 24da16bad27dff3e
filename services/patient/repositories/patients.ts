import { BSON, type Document, type Filter } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { invalid, PatientExists, PatientNotFound, PatientStale } from '../errors.ts'
import type { Precondition } from '../preconditions.ts'
import type { PatientCriteria } from '../schemas/criteria.ts'
import type { PatientDetails } from '../schemas/patient.ts'
import { Documents, type Key, type Stored } from './documents.ts'

const PATIENTS = 'patients'

export interface StoredPatient extends Stored, PatientDetails {
  /** The sort key of lastName; empty if there is no lastName. */
  _lastName: string
  lastUpdated: Date
}

interface Tombstone extends Stored {
  _deleted: Date
  /** All test results of the patient are deleted. */
  _finished?: boolean
}

/** Each criterion and each sort has an index, with `_id` for the order of pages. */
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

const MAX_BYTES = 64 * 1_024

/** @throws {InvalidRequest} the patient is too large */
export function storedPatient (
  id: string, details: PatientDetails, audit: string, lastUpdated = new Date()
): StoredPatient {
  if (BSON.calculateObjectSize(details) > MAX_BYTES) throw invalid('', 'must not be larger than 64 KiB')
  return { ...patientKey(id), _audit: audit, _lastName: details.lastName ?? '', ...details, lastUpdated }
}

/** The filter of a search; matches are exact. */
export function patientFilter (criteria: PatientCriteria): Document {
  const { id, lastName, dateOfBirthFrom, dateOfBirthTo, ...exact } = criteria
  const filter: Document = { ...exact }
  if (id !== undefined) Object.assign(filter, patientKey(id.toLowerCase()))
  if (lastName !== undefined) filter._lastName = lastName
  return { ...filter, ...bornWithin(dateOfBirthFrom, dateOfBirthTo) }
}

/** The filter of the dates of birth that overlap a range. Its ends and the dates may be partial. */
function bornWithin (from: string | undefined, to: string | undefined): Document {
  const until = to === undefined ? {} : { $lte: `${to}-99` }
  if (from === undefined) return to === undefined ? {} : { dateOfBirth: until }
  const first = `${from}-01-01`.slice(0, 10)
  // A date sorts after the month and the year that have it
  const spans = to === undefined || first <= until.$lte! ? [first.slice(0, 4), first.slice(0, 7)] : []
  return { $or: [{ dateOfBirth: { $gte: first, ...until } }, { dateOfBirth: { $in: spans } }] }
}
