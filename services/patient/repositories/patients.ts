import { BSON, type Document, type Filter } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { invalid, PatientExists, PatientNotFound, PatientStale } from '../errors.ts'
import type { Precondition } from '../preconditions.ts'
import type { PatientCriteria } from '../schemas/criteria.ts'
import type { PatientDetails } from '../schemas/patient.ts'
import { Documents, type History, type Key, type Stored } from './documents.ts'

const PATIENTS = 'patients'

export interface StoredPatient extends Stored, PatientDetails {
  /** The sort key of lastName; empty if there is no lastName. */
  _lastName: string
  lastUpdated: Date
}

/** What is left of a patient that was deleted, or merged into another one. */
export interface Tombstone extends Stored {
  _deleted: Date
  /** All test results of the patient are deleted or moved. */
  _finished?: boolean
  /** The deleted patient, for as long as it can be restored. */
  _kept?: StoredPatient
  /** The patient that has the test results now. */
  _mergedInto?: string
}

/** Each criterion and each sort has an index, with `_id` for the order of pages. */
export const patientIndexes: Index[] = [
  '_lastName', 'firstName', 'fullName', 'gender', 'dateOfBirth', 'postCode', 'insuranceNumber',
  'preferredContactNumber', 'lastUpdated'
].map((field) => ({ collection: PATIENTS, key: { [field]: 1, _id: 1 } }))

export const patientKey = (id: string): Key => ({ _id: id, _shardKey: id })

export class Patients extends Documents<StoredPatient> {
  constructor (database: Database, history?: History) {
    const refusals = { missing: PatientNotFound, stale: PatientStale, exists: PatientExists }
    super(database, PATIENTS, refusals, history)
  }

  /** @throws {PatientNotFound} with the id of the patient that it was merged into, if there is one */
  override async throwMissing ({ _id }: Key): Promise<never> {
    throw Object.assign(new PatientNotFound(), { replacedBy: await this.replacementOf(_id) })
  }

  /** @throws {PatientNotFound} */
  async require (id: string) {
    if (!await this.exists(patientKey(id))) await this.throwMissing(patientKey(id))
  }

  /**
   * Replaces the patient by a tombstone without health data, unless it is to be kept.
   *
   * @throws {PatientNotFound | PatientStale | PatientExists}
   */
  async softDelete (id: string, audit: string, precondition: Precondition, isKept: boolean) {
    const key = patientKey(id)
    for (;;) {
      const found = await this.findAny(id)
      if (found?._audit === audit) return
      if (!found || !isLive(found)) return this.throwMissing(key)
      this.requireAllowed(precondition, found)
      const tombstone = { ...key, _audit: audit, _deleted: new Date(), ...(isKept && { _kept: found }) }
      if (await this.bury(found, tombstone)) return
    }
  }

  /** Whether the tombstone has replaced a version that was read before. */
  bury (current: StoredPatient, tombstone: Tombstone) {
    return this.database.run(() => this.replaceVersion(current, tombstone as unknown as StoredPatient))
  }

  /** Whether the patient has replaced the tombstone that keeps it. */
  async revive ({ _id, _audit }: Tombstone, patient: StoredPatient) {
    const keeping = { ...patientKey(_id), _audit, _kept: { $exists: true } }
    const { matchedCount } = await this.database.run(() => this.collection.replaceOne(keeping, patient))
    return matchedCount === 1
  }

  /** A patient or its tombstone. */
  findAny (id: string): Promise<StoredPatient | Tombstone | null> {
    return this.database.run(() => this.#tombstones.findOne(patientKey(id)))
  }

  /** The patient at the end of a chain of merges; undefined if there is none, or it is deleted. */
  async replacementOf (id: string): Promise<string | undefined> {
    for (let current = id; ;) {
      const found = await this.findAny(current)
      if (!found) return undefined
      if (isLive(found)) return current === id ? undefined : current
      if (found._mergedInto === undefined) return undefined
      current = found._mergedInto
    }
  }

  /** Whether neither the patient nor one that it was merged into can be found or restored. */
  async isGone (id: string) {
    const found = await this.findAny(id)
    return !found || !(isLive(found) || found._kept || found._mergedInto)
  }

  /**
   * The tombstones whose test results may not all be deleted, or that were made before `old`. Those of merged
   * patients stay.
   */
  tombstones (old: Date) {
    // Only tombstones have no lastUpdated
    const unfinishedOrOld = {
      lastUpdated: null, _mergedInto: null, $or: [{ _finished: null }, { _deleted: { $lt: old } }]
    }
    const filter = unfinishedOrOld as unknown as Filter<Tombstone>
    const projection = { _id: 1, _audit: 1, _deleted: 1, '_kept._id': 1 }
    return this.#tombstones.find(filter, { projection })
  }

  /** Removes the patient that a tombstone keeps; false if it was restored. */
  async forget ({ _id, _audit }: Tombstone) {
    const filter = { ...patientKey(_id), _audit }
    const { matchedCount } = await this.database.run(() =>
      this.#tombstones.updateOne(filter, { $unset: { _kept: '' } }))
    return matchedCount === 1
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

export const isLive = (patient: StoredPatient | Tombstone): patient is StoredPatient => !patient._deleted

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
