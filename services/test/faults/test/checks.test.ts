import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { StoredRecord } from '#common/audit-record.ts'
import { brokenPromises } from '../checks.ts'
import { Journal } from '../clients.ts'

const EARLY = new Date('2026-11-28T12:00:00Z')
const LATE = new Date('2026-11-28T12:01:00Z')

const patient = (changes: object = {}) => {
  const _id = randomUUID()
  return { _id, _shardKey: _id, _audit: randomUUID(), ...changes }
}

const record = (resource: object, changes: object = {}) => ({
  id: randomUUID(),
  operationId: randomUUID(),
  sourceSystemName: 'patient',
  resource: { type: 'test', operation: 'create', id: randomUUID(), ...resource },
  createdDate: EARLY,
  ...changes
}) as StoredRecord

interface Documents {
  patients: object[]
  tests?: object[]
  versions?: object[]
}

/** What is found in these documents, with a record for each of those that lack one. */
function findings ({ patients, tests = [], versions = [] }: Documents, given: StoredRecord[]) {
  const known = new Set(given.map(({ id }) => id))
  const others = [...patients, ...tests].map((document) => document as { _id: string, _audit: string })
    .filter(({ _audit }) => !known.has(_audit))
    .map(({ _id, _audit }) => record({ id: _id }, { id: _audit, outcome: 'success' }))
  const records = [...given, ...others]
  const recordById = new Map(records.map((one) => [one.id, one]))
  const rest = { transfers: [], claims: [], blocks: [], batches: [] }
  const stored = { patients, tests, versions, ...rest, records, recordById }
  return brokenPromises(stored, new Journal(), false)
}

t.test('an attempt needs an outcome, unless what it created may have gone with its patient', async (t) => {
  const there = patient()
  const gone = patient({ _deleted: LATE })
  const target = patient({ _deleted: LATE })
  const merged = patient({ _deleted: EARLY, _mergedInto: target._id })
  const patients = [there, gone, target, merged]
  const attempt = (patientId: string, changes: object = {}) => [record({ patientId }, changes)]
  t.match(findings({ patients }, attempt(there._id)), [/^\(e\) attempt .* has no outcome$/])
  t.strictSame(findings({ patients }, attempt(gone._id)), [])
  t.strictSame(findings({ patients }, attempt(merged._id)), [], 'after a merge')
  const after = new Date(LATE.getTime() + 1)
  t.match(findings({ patients }, attempt(gone._id, { createdDate: after })), [/has no outcome$/], 'deleted before')
})

t.test('the two records of a move have one outcome', async (t) => {
  const [from, to] = [patient(), patient()]
  const test = { _id: randomUUID(), _shardKey: to._id, _audit: randomUUID() }
  const resource = { operation: 'move', id: test._id, patientId: from._id }
  const move = (changes: object = {}) => record(resource, changes)
  const done = move({ id: test._audit })
  const documents = { patients: [from, to], tests: [test] }
  t.strictSame(findings(documents, [done, move({ operationId: done.operationId })]), [])
  t.match(findings(documents, [done, move()]), [/has no outcome$/], 'a record of another move')
})

t.test('a version has the record of its patient, also after that was merged twice', async (t) => {
  const last = patient()
  const second = patient({ _deleted: EARLY, _mergedInto: last._id })
  const first = patient({ _deleted: EARLY, _mergedInto: second._id })
  const patients = [first, second, last]
  const made = (id: string) => record({ type: 'patient', operation: 'merge', id }, { outcome: 'success' })
  const versionOf = ({ id }: StoredRecord) => {
    return [{ _id: randomUUID(), _shardKey: last._id, _audit: id, of: randomUUID() }]
  }
  const own = made(first._id)
  t.strictSame(findings({ patients, versions: versionOf(own) }, [own]), [])
  const other = made(randomUUID())
  t.match(findings({ patients, versions: versionOf(other) }, [other]), [/has the record of another$/])
})
