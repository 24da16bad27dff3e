import type { Document } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { invalid, TestExists, TestNotFound, TestStale } from '../errors.ts'
import type { TestCriteria } from '../schemas/pages.ts'
import type { Observation, TestDetails } from '../schemas/test-result.ts'
import { Documents, type Key, type Sort, type Stored } from './documents.ts'
import { effectiveKeys, spanOf, type EffectiveKeys } from './effective.ts'

const TESTS = 'tests'

/** Documents of before have no EffectiveKeys. */
export interface StoredTest extends Stored, TestDetails, Partial<EffectiveKeys> {
  patientId: string
  lastUpdated: Date
}

export const testIndexes: Index[] = [
  { collection: TESTS, key: { _shardKey: 1, _id: 1 } },
  { collection: TESTS, key: { _shardKey: 1, lastUpdated: 1, _id: 1 } },
  { collection: TESTS, key: { _shardKey: 1, _effective: 1, _id: 1 } }
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
  const keys = effectiveKeys(details)
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
  const filters: Document[] = []
  if (code !== undefined) {
    filters.push(anyHas(['code', 'observations.code', 'observations.components.code'], code))
  }
  if (category !== undefined) filters.push(anyHas(['category', 'observations.category'], category))
  if (effectiveFrom !== undefined) filters.push({ _effectiveTo: { $gte: spanOf(effectiveFrom)[0] } })
  if (effectiveTo !== undefined) filters.push({ _effective: { $gt: '', $lte: spanOf(effectiveTo)[1] } })
  return { _shardKey: patientId, ...(status && { status }), ...(filters.length > 0 && { $and: filters }) }
}

/** The filter for documents that have a code, as text or as `system|code`, in one of `fields`. */
function anyHas (fields: string[], wanted: string): Document {
  const [system, code] = splitCode(wanted)
  const $or = fields.flatMap((field) => {
    const coded = { [`${field}.code`]: code, ...(system !== undefined && { [`${field}.system`]: system }) }
    return [{ [field]: wanted }, coded]
  })
  return { $or }
}

function splitCode (wanted: string): [system: string | undefined, code: string] {
  const bar = wanted.lastIndexOf('|')
  return bar === -1 ? [undefined, wanted] : [wanted.slice(0, bar), wanted.slice(bar + 1)]
}

type Coded = { code: Observation['code'] }

function hasCode ({ code }: Coded, wanted: string) {
  if (code === wanted) return true
  const [system, inSystem] = splitCode(wanted)
  if (typeof code !== 'object' || code.code !== inSystem) return false
  return system === undefined || code.system === system
}

/** The observations and components of a test result that have a code, newest first. */
export function seriesOf (test: StoredTest, code: string) {
  const found = (test.observations ?? []).flatMap((observation) => {
    const { components = [] } = observation
    const context = {
      testId: test._id,
      id: observation.id,
      status: observation.status,
      effective: observation.effective ?? test.effective,
      issued: observation.issued ?? test.issued
    }
    if (hasCode(observation, code)) return [{ ...observation, ...context }]
    return components.filter((component) => hasCode(component, code))
      .map((component) => ({ ...component, ...context }))
  })
  const time = ({ effective, issued }: { effective?: string, issued?: string }) =>
    spanOf(effective ?? issued ?? '0001')[0]
  return found.sort((one, other) => (time(one) < time(other) ? 1 : -1))
}
