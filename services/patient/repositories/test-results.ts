import type { Database, Index } from '#common/database.ts'
import { TestExists, TestNotFound, TestStale } from '../errors.ts'
import type { TestDetails } from '../schemas.ts'
import { Documents, type Key, type Sort, type Stored } from './documents.ts'

const TESTS = 'tests'

export interface StoredTest extends Stored, TestDetails {
  patientId: string
  lastUpdated: Date
}

export const testIndexes: Index[] = [
  { collection: TESTS, key: { _shardKey: 1, _id: 1 } },
  { collection: TESTS, key: { _shardKey: 1, lastUpdated: 1, _id: 1 } }
]

/** The tests of a patient are in one shard: its id is their shard key. */
export const testKey = (patientId: string, id: string): Key => ({ _id: id, _shardKey: patientId })

export class TestResults extends Documents<StoredTest> {
  constructor (database: Database) {
    super(database, TESTS, { missing: TestNotFound, stale: TestStale, exists: TestExists })
  }

  /** Starts with the shard key, as the indexes do: each page has the tests of one patient. */
  protected override order (sort: Sort) {
    return { _shardKey: sort.direction, ...super.order(sort) }
  }

  removeAllOf (patientId: string) {
    return this.database.run(() => this.collection.deleteMany({ _shardKey: patientId }))
  }
}

export function storedTest (
  patientId: string, id: string, details: TestDetails, audit: string, lastUpdated = new Date()
): StoredTest {
  return { ...testKey(patientId, id), _audit: audit, ...details, patientId, lastUpdated }
}
