import type { Document } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { invalid, TestExists, TestNotFound, TestStale } from '../errors.ts'
import type { ObservationCriteria, TestCriteria } from '../schemas/pages.ts'
import type { Observation, TestDetails } from '../schemas/test-result.ts'
import { Documents, type History, type Key, type Sort, type Stored } from './documents.ts'
import type { Transfers } from './transfers.ts'
import { codesOf, spanOf, testKeys, type TestKeys } from './test-keys.ts'

const TESTS = 'tests'

/** Documents of earlier releases have no keys. */
export interface StoredTest extends Stored, TestDetails, Partial<TestKeys> {
  patientId: string
  lastUpdated: Date
  /** The record of the move that has not shown the test result yet. */
  _moving?: string
  /** Set only in the tombstone of a moved test result: the patient that has it now. */
  _movedTo?: string
}

export const testIndexes: Index[] = [
  { collection: TESTS, key: { _shardKey: 1, _id: 1 } },
  { collection: TESTS, key: { _shardKey: 1, lastUpdated: 1, _id: 1 } },
  { collection: TESTS, key: { _shardKey: 1, _effective: 1, _id: 1 } }
]

/** The tests of a patient are in one shard: its id is their shard key. */
export const testKey = (patientId: string, id: string): Key => ({ _id: id, _shardKey: patientId })

export class TestResults extends Documents<StoredTest> {
  #transfers: Transfers | undefined

  constructor (database: Database, history?: History, transfers?: Transfers) {
    super(database, TESTS, { missing: TestNotFound, stale: TestStale, exists: TestExists }, history)
    this.#transfers = transfers
  }

  /** @throws {TestNotFound} with the path of the test result if it was moved */
  override async throwMissing ({ _shardKey, _id }: Key): Promise<never> {
    const move = await this.#transfers?.find(_shardKey, _id)
    const replacedBy = move && `/patient/${move.to}/tests/${_id}`
    throw Object.assign(new TestNotFound(), replacedBy && { replacedBy })
  }

  /** Starts with the shard key, as the indexes do: each page has the tests of one patient. */
  protected override order (sort: Sort) {
    return { _shardKey: sort.direction, ...super.order(sort) }
  }

  /** Removes the test results of a patient, but not what a move still needs. */
  removeAllOf (patientId: string) {
    const filter = { _shardKey: patientId, _movedTo: { $exists: false } }
    return this.database.run(() => this.collection.deleteMany(filter))
  }

  /** Removes a version of a test result; false if it is not the current one. */
  async removeVersion ({ _id, _shardKey, _audit }: StoredTest) {
    const filter = { _id, _shardKey, _audit }
    const { deletedCount } = await this.database.run(() => this.collection.deleteOne(filter))
    return deletedCount === 1
  }

  /** A test result, or what a move left or prepared in its place. */
  findAny (key: Key) {
    return this.database.run(() => this.collection.findOne(key))
  }

  /** Replaces a version by the tombstone of a move; false if it is not the current one. */
  replaceWithTombstone (test: StoredTest, audit: string, movedTo: string) {
    const key = testKey(test._shardKey, test._id)
    const tombstone = { ...key, _audit: audit, _deleted: new Date(), _movedTo: movedTo }
    return this.database.run(() => this.replaceVersion(test, tombstone as unknown as StoredTest))
  }

  async removeTombstone (key: Key) {
    await this.database.run(() => this.collection.deleteOne({ ...key, _movedTo: { $exists: true } }))
  }

  /** Stores a moved test result, so that nobody finds it yet. */
  insertHidden (test: StoredTest) {
    return this.insert({ ...test, _deleted: new Date(), _moving: test._audit }, true)
  }

  async unhide (key: Key, audit: string) {
    const hidden = { ...key, _moving: audit }
    const changes = { $unset: { _deleted: '', _moving: '' } } as const
    await this.database.run(() => this.collection.updateOne(hidden, changes))
  }
}

/** @throws {InvalidRequest} the test result has no content */
export function storedTest (
  patientId: string, id: string, details: TestDetails, audit: string, lastUpdated = new Date()
): StoredTest {
  // A patch may have removed both
  if (details.observations === undefined && details.conclusion === undefined) {
    throw invalid('', 'must have observations or conclusion')
  }
  const keys = testKeys(details)
  return { ...testKey(patientId, id), _audit: audit, ...details, ...keys, patientId, lastUpdated }
}

/** @throws {InvalidRequest} two observations have the same id */
export function requireUniqueIds (observations: Observation[] = []) {
  const ids = new Set<string>()
  for (const [index, { id }] of observations.entries()) {
    if (ids.has(id)) throw invalid(`observations/${index}/id`, 'must not be the id of another observation')
    ids.add(id)
  }
}

/** The filter of the test results of a patient; a partial date matches every range that it overlaps. */
export function testFilter (patientId: string, criteria: TestCriteria): Document {
  const { code, category, status, effectiveFrom, effectiveTo } = criteria
  return {
    _shardKey: patientId,
    // Documents of earlier releases have no keys, and codes that are text
    ...(code !== undefined && { $or: [{ _codes: code }, { _codes: null, 'observations.code': code }] }),
    ...(category !== undefined && { _categories: category }),
    ...(status !== undefined && { status }),
    ...(effectiveFrom !== undefined && { _effectiveTo: { $gte: spanOf(effectiveFrom)[0] } }),
    ...(effectiveTo !== undefined && { _effective: { $gt: '', $lte: spanOf(effectiveTo)[1] } })
  }
}

/** The observations and components of a test result that meet the criteria, newest first. */
export function seriesOf (test: StoredTest, criteria: ObservationCriteria) {
  const { code } = criteria
  const isWanted = (coded: Pick<Observation, 'code'>) => codesOf(coded.code).includes(code)
  const found = (test.observations ?? []).flatMap((observation) => {
    const context = {
      testId: test._id,
      id: observation.id,
      status: observation.status,
      category: observation.category ?? test.category,
      effective: observation.effective ?? test.effective,
      issued: observation.issued ?? test.issued
    }
    if (isWanted(observation)) return [{ ...observation, ...context }]
    return (observation.components ?? []).filter(isWanted)
      .map((component) => ({ ...component, ...context }))
  })
  const first = (item: typeof found[number]) => spanOfItem(item)?.[0] ?? ''
  return found.filter((item) => meets(item, criteria))
    .sort((one, other) => Number(first(one) < first(other)) - Number(first(one) > first(other)))
}

type Item = Pick<Observation, 'status' | 'category' | 'effective' | 'issued'>

function meets (item: Item, { category, status, effectiveFrom, effectiveTo }: ObservationCriteria) {
  if (status !== undefined && item.status !== status) return false
  if (category !== undefined && !codesOf(item.category).includes(category)) return false
  if (effectiveFrom === undefined && effectiveTo === undefined) return true
  const span = spanOfItem(item)
  if (!span) return false
  const [first, last] = span
  return (effectiveFrom === undefined || last >= spanOf(effectiveFrom)[0]) &&
    (effectiveTo === undefined || first <= spanOf(effectiveTo)[1])
}

function spanOfItem ({ effective, issued }: Item) {
  const date = effective ?? issued
  return date === undefined ? undefined : spanOf(date)
}
