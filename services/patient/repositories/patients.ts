import { BSON, type Filter } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { invalid, PatientExists, PatientNotFound, PatientStale } from '../errors.ts'
import type { Precondition } from '#common/http/preconditions.ts'
import type { PatientDetails } from '../schemas/patient.ts'
import type { KeyMaker, SearchKeys } from '../search/keys.ts'
import { Documents, keyOf, type History, type Key, type Stored } from './documents.ts'

const PATIENTS = 'patients'
const MAX_BYTES = 64 * 1_024

export interface StoredPatient extends Stored, PatientDetails {
  /** Missing in documents of earlier releases, until they are migrated. */
  _keys?: SearchKeys
  /** Only in documents of earlier releases: lastName, empty if there is none. */
  _lastName?: string
  lastUpdated: Date
}

/** What is left of a patient that was deleted, or merged into another one. */
interface Tombstone extends Stored {
  _deleted: Date
  /** All test results of the patient are deleted or moved. */
  _finished?: boolean
  /** The deleted patient, for as long as it can be restored. */
  _kept?: StoredPatient
  /** The patient that has the test results now. */
  _mergedInto?: string
}

/**
 * Each sort has an index, and each criterion that few patients fulfil, with `_id` for the order of pages. The
 * version finds the documents to migrate.
 */
export const patientIndexes: Index[] = [
  '_keys.lastName', '_keys.firstName', '_keys.fullName', '_keys.postCodes',
  '_keys.insuranceNumbers', '_keys.phones', '_keys.identifiers', '_keys.version', 'gender', 'dateOfBirth',
  'lastUpdated'
].map((field) => ({ collection: PATIENTS, key: { [field]: 1, _id: 1 } }))

export const patientKey = (id: string): Key => ({ _id: id, _shardKey: id })

export class Patients extends Documents<StoredPatient> {
  readonly keys: KeyMaker
  // Half of a patient are search keys. Pages need only the one that they may be sorted by
  protected override readonly projection = {
    _lastName: 0,
    '_keys.version': 0,
    '_keys.firstName': 0,
    '_keys.fullName': 0,
    '_keys.postCodes': 0,
    '_keys.cities': 0,
    '_keys.insuranceNumbers': 0,
    '_keys.identifiers': 0,
    '_keys.phones': 0
  }

  constructor (database: Database, keys: KeyMaker, history?: History) {
    const refusals = { missing: PatientNotFound, stale: PatientStale, exists: PatientExists }
    super(database, PATIENTS, refusals, history)
    this.keys = keys
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
      if (await this.replaceWithTombstone(found, tombstone)) return
    }
  }

  /** Whether the tombstone has replaced a version that was read before. */
  replaceWithTombstone (current: StoredPatient, tombstone: Tombstone) {
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

/**
 * The document of a patient.
 *
 * @throws {InvalidRequest} the patient has no name, or is too large
 */
export function storedPatient (
  keys: KeyMaker, id: string, details: PatientDetails, audit: string, lastUpdated = new Date()
): StoredPatient {
  // A patch may have removed all of them
  if (details.firstName === undefined && details.lastName === undefined && details.fullName === undefined) {
    throw invalid('', 'must have firstName, lastName or fullName')
  }
  if (BSON.calculateObjectSize(details) > MAX_BYTES) throw invalid('', 'must not be larger than 64 KiB')
  return { ...patientKey(id), _audit: audit, _keys: keys.keysOf(details), ...details, lastUpdated }
}
