import type { Database, Index } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { VersionNotFound } from '../errors.ts'
import { Documents, type History, type Key, type Position, type Sort, type Stored } from './documents.ts'

const VERSIONS = 'versions'

/** A version that a change replaced. */
export interface StoredVersion extends Stored {
  /** The id of the patient or test result whose history has this version. */
  of: string
  /** The id of the document, another one where a merge added the history of another patient. */
  id: string
  lastUpdated: Date
  replaced: Date
  document: Stored
}

export const versionIndexes: Index[] = [
  { collection: VERSIONS, key: { _shardKey: 1, of: 1, replaced: 1, _id: 1 } }
]

/** Versions are in the shard of their patient: its id is their shard key. */
export const versionKey = (patientId: string, of: string, version: string): Key =>
  ({ _id: `${patientId}:${of}:${version}`, _shardKey: patientId })

/**
 * The versions that changes replaced. A copy is stored before the change, so a copy of the current version is
 * what an interrupted change left.
 */
export class Versions extends Documents<StoredVersion> implements History {
  constructor (database: Database) {
    super(database, VERSIONS, { missing: VersionNotFound, stale: VersionNotFound, exists: VersionNotFound })
  }

  protected override readonly projection = { document: 0 }

  protected override order ({ direction }: Sort) {
    return { _shardKey: direction, of: direction, replaced: direction, _id: direction }
  }

  /** Stores a copy of a document that is replaced, in the history of its own or in another one. */
  async keep (document: Stored, { _shardKey, _id: of }: Key = document) {
    const { _id: id, _audit, lastUpdated } = document
    const version: StoredVersion = {
      ...versionKey(_shardKey, of, _audit),
      _audit,
      of,
      id,
      lastUpdated: lastUpdated!,
      replaced: new Date(),
      document
    }
    await this.#store(version)
  }

  /** The versions of a document before the current one, newest first. */
  before ({ _shardKey, _id: of }: Key, current: string, after: Position | undefined, limit: number) {
    const filter = { _shardKey, of, _audit: { $ne: current } }
    return this.page(filter, { field: 'replaced', direction: -1 }, after, limit)
  }

  async drop ({ _shardKey, _id, _audit }: Stored) {
    await this.database.run(() => this.collection.deleteOne(versionKey(_shardKey, _id, _audit)))
  }

  /** Removes the versions of a patient with those of its test results, or those of one document. */
  removeAllOf (patientId: string, of?: string) {
    const filter = { _shardKey: patientId, ...(of !== undefined && { of }) }
    return this.database.run(() => this.collection.deleteMany(filter))
  }

  /** Moves the versions of a document to the history of another patient, or of the same test result there. */
  async move ({ _shardKey, _id: of }: Key, to: Key) {
    const ids = await this.database.run(() =>
      this.collection.find({ _shardKey, of }, { projection: { _id: 1 } }).toArray())
    for (const { _id } of ids) {
      const key = { _id, _shardKey }
      const version = await this.find(key)
      if (!version) continue
      await this.#store({ ...version, ...versionKey(to._shardKey, to._id, version._audit), of: to._id })
      await this.database.run(() => this.collection.deleteOne(key))
    }
  }

  // A copy that is there may be one of an interrupted change, and have an earlier time
  #store (version: StoredVersion) {
    const { _id, _shardKey } = version
    const replace = () => this.collection.replaceOne({ _id, _shardKey }, version, { upsert: true })
    return unlessThere(this.database.run(replace))
  }
}
