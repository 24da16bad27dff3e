import { randomUUID } from 'node:crypto'
import { test, type Test } from 'tap'
import {
  UUID, holdsNoValue, inParallel, newPatient, newTest, secret, startApi, testLogs, unknownId, type Answer
} from './api.ts'

const api = await startApi()

const versionOf = ({ headers }: Answer) => headers.etag!.slice(1, -1)

/** The version at each path, as a record discloses it. */
function versionsAt (paths: string[]) {
  return Promise.all(paths.map(async (path) => {
    const answer = await api.get(path)
    return { id: answer.body.id, version: versionOf(answer) }
  }))
}

/** The one record of a request. */
async function recordOf (t: Test, answer: Answer) {
  const records = await api.recordsOf(answer)
  t.equal(records.length, 1)
  return records[0]!
}

/** What every record says. */
function isComplete (t: Test, record: any, answer: Answer) {
  t.match(record, {
    id: UUID,
    sourceSystemName: 'patient',
    operationId: answer.trace,
    actor: 'local-client',
    clientAddress: '127.0.0.1',
    requestId: UUID,
    createdDate: Date,
    seq: /^[1-9]/
  })
}

/** A write was recorded as an attempt that nothing contradicts. */
async function isWritten (t: Test, answer: Answer, resource: object) {
  const record = await recordOf(t, answer)
  isComplete(t, record, answer)
  t.strictSame(record.resource, resource)
  t.notMatch(record, { outcome: 'failure' })
  t.notOk('disclosed' in record || 'criteria' in record)
  return record
}

/** A write was recorded as an attempt, and then as one that failed. */
async function isFailed (t: Test, answer: Answer, resource: object) {
  const [attempt, failure, ...more] = await api.recordsOf(answer)
  t.strictSame(more, [])
  for (const record of [attempt, failure]) {
    isComplete(t, record, answer)
    t.strictSame(record?.resource, resource)
  }
  t.not(attempt?.outcome, 'failure')
  t.equal(failure?.outcome, 'failure')
  t.equal(failure?.attemptOf, attempt?.id)
  t.ok(attempt!.seq < failure!.seq)
}

async function isRead (t: Test, answer: Answer, resource: object, disclosed: object[], criteria?: string[]) {
  const record = await recordOf(t, answer)
  isComplete(t, record, answer)
  t.strictSame(record.resource, resource)
  t.strictSame(record.disclosed, disclosed)
  t.strictSame(record.criteria && [...record.criteria].sort(), criteria)
  t.not(record.outcome, 'failure')
}

test('a create records its attempt, and the record\'s id is the version of the patient', async (t) => {
  const answer = await api.post('/patient', newPatient())
  const { id, lastUpdated } = answer.body
  const record = await isWritten(t, answer, { type: 'patient', id, operation: 'create' })
  const stored = await api.patientDb.collection<any>('patients').findOne({ _id: id })
  t.equal(stored._audit, record.id)
  t.equal(versionOf(answer), record.id)
  t.ok(record.createdDate.getTime() <= Date.parse(lastUpdated), 'recorded before it was stored')
})

test('each write of a patient has its record', async (t) => {
  const { id, path } = await api.create()
  for (const [operation, write] of [
    ['update', () => api.put(path, newPatient())],
    ['patch', () => api.patch(path, { lastName: secret() })]
  ] as const) {
    const answer = await write()
    const record = await isWritten(t, answer, { type: 'patient', id, operation })
    t.equal((await api.patientDb.collection<any>('patients').findOne({ _id: id }))._audit, record.id)
    t.equal(versionOf(answer), record.id)
  }
  const deletion = await api.delete(path)
  const record = await isWritten(t, deletion, { type: 'patient', id, operation: 'delete' })
  t.equal((await api.patientDb.collection<any>('patients').findOne({ _id: id }))._audit, record.id)
})

test('each write of a test result has its record', async (t) => {
  const { id: patientId, path: patient } = await api.create()
  const created = await api.post(`${patient}/tests`, newTest())
  const { id } = created.body
  const path = `${patient}/tests/${id}`
  for (const [operation, answer] of [
    ['create', created],
    ['update', await api.put(path, newTest())],
    ['patch', await api.patch(path, { performer: null })]
  ] as const) {
    const record = await isWritten(t, answer, { type: 'test', id, patientId, operation })
    t.equal(versionOf(answer), record.id)
  }
  await isWritten(t, await api.delete(path), { type: 'test', id, patientId, operation: 'delete' })
})

test('a write that is refused has a second record that says so', async (t) => {
  const { id, path, etag } = await api.create()
  const result = await api.createTest(path)
  const missing = unknownId()
  const stale = { 'if-match': '"other"' }
  const bodyFor = (path: string) => /tests/.test(path) ? newTest() : newPatient()
  for (const [operation, write] of [
    ['update', (path: string, headers?: object) => api.put(path, bodyFor(path), { ...headers })],
    ['patch', (path: string, headers?: object) => api.patch(path, {}, { ...headers })],
    ['delete', (path: string, headers?: object) => api.delete(path, { ...headers })]
  ] as const) {
    const { id: testId } = result
    await isFailed(t, await write(path, stale), { type: 'patient', id, operation })
    await isFailed(t, await write(`/patient/${missing}`), { type: 'patient', id: missing, operation })
    const test = { type: 'test', operation }
    await isFailed(t, await write(result.path, stale), { ...test, id: testId, patientId: id })
    await isFailed(t, await write(`${path}/tests/${missing}`), { ...test, id: missing, patientId: id })
    const elsewhere = await write(`/patient/${missing}/tests/${testId}`)
    await isFailed(t, elsewhere, { ...test, id: testId, patientId: missing })
    await isFailed(t, await write('/patient/nobody'), { type: 'patient', operation })
  }
  t.equal((await api.get(path)).headers.etag, etag)
  const refused = await api.post(`/patient/${missing}/tests`, newTest())
  t.equal(refused.status, 404)
  const [attempt, failure] = await api.recordsOf(refused)
  t.match(attempt, { resource: { type: 'test', patientId: missing, operation: 'create' } })
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id })
})

test('a load records what it discloses: the id and the version', async (t) => {
  const { id, path } = await api.create()
  const patient = await api.get(path)
  const resource = { type: 'patient', id, operation: 'load' }
  await isRead(t, patient, resource, [{ id, version: versionOf(patient) }])
  await api.patch(path, {})
  const changed = await api.get(path)
  t.not(versionOf(changed), versionOf(patient))
  await isRead(t, changed, resource, [{ id, version: versionOf(changed) }])
  const unchanged = await api.get(path, { 'if-none-match': changed.headers.etag })
  t.equal(unchanged.status, 304)
  await isRead(t, unchanged, resource, [{ id, version: versionOf(changed) }])

  const { id: testId, path: testPath } = await api.createTest(path)
  const result = await api.get(testPath)
  const ofTest = { type: 'test', id: testId, patientId: id, operation: 'load' }
  await isRead(t, result, ofTest, [{ id: testId, version: versionOf(result) }])
})

test('that nothing was found is recorded as nothing disclosed', async (t) => {
  const missing = unknownId()
  const { id, path } = await api.create()
  const load = { type: 'patient', operation: 'load' }
  await isRead(t, await api.get(`/patient/${missing}`), { ...load, id: missing }, [])
  await isRead(t, await api.get('/patient/nobody'), load, [])
  const list = { type: 'test', operation: 'list' }
  await isRead(t, await api.get(`${path}/tests`), { ...list, patientId: id }, [])
  await isRead(t, await api.get(`/patient/${missing}/tests`), { ...list, patientId: missing }, [])
  const loadTest = { type: 'test', id: missing, patientId: id, operation: 'load' }
  await isRead(t, await api.get(`${path}/tests/${missing}`), loadTest, [])
  const search = await api.search({ firstName: secret() })
  await isRead(t, search, { type: 'patient', operation: 'search' }, [], ['firstName'])
})

test('a page is one record of all that is on it, and of no more', async (t) => {
  const lastName = secret()
  for (let i = 0; i < 5; i++) await api.create({ lastName })
  const page = await api.search({ lastName }, '?limit=3&sort=-lastUpdated')
  const disclosed = await versionsAt(page.body.map(({ id }: { id: string }) => `/patient/${id}`))
  t.equal(disclosed.length, 3)
  await isRead(t, page, { type: 'patient', operation: 'search' }, disclosed, ['lastName'])

  const { id, path } = await api.create()
  for (let i = 0; i < 3; i++) await api.createTest(path)
  const list = await api.get(`${path}/tests?limit=2`)
  const versions = await versionsAt(list.body.map(({ id }: { id: string }) => `${path}/tests/${id}`))
  await isRead(t, list, { type: 'test', patientId: id, operation: 'list' }, versions)
})

test('a page of 200 is one record', async (t) => {
  const lastName = secret()
  await inParallel(200, 16, () => api.create({ lastName }))
  const page = await api.search({ lastName }, '?limit=200')
  t.equal(page.body.length, 200)
  t.equal((await recordOf(t, page)).disclosed!.length, 200)
})

test('of a search the names of the criteria are recorded, never their values', async (t) => {
  const { patient } = await api.create()
  const { lastUpdated, dateOfBirth, ...criteria } = patient
  const answer = await api.search({ ...criteria, dateOfBirthFrom: dateOfBirth, dateOfBirthTo: dateOfBirth })
  t.equal(answer.body.length, 1)
  const record = await recordOf(t, answer)
  t.strictSame([...record.criteria!].sort(), [
    'dateOfBirthFrom', 'dateOfBirthTo', 'firstName', 'fullName', 'gender', 'id', 'insuranceNumber',
    'lastName', 'postCode', 'preferredContactNumber'
  ])
  holdsNoValue(t, JSON.stringify(record))
  t.strictSame((await recordOf(t, await api.search({}, '?limit=1'))).criteria, [])
})

test('the reader is recorded as who it is', async (t) => {
  const { path } = await api.create()
  for (const answer of [await api.get(path, api.asReader), await api.search({}, '', api.asReader)]) {
    t.equal((await recordOf(t, answer)).actor, 'local-reader')
  }
})

test('a client cannot say who or where it is', async (t) => {
  const { path } = await api.create()
  const forged = {
    'x-audit-actor': 'somebody-else',
    'x-audit-client-address': '192.0.2.1',
    'x-audit-request-id': 'chosen',
    'x-forwarded-for': '192.0.2.2',
    forwarded: 'for=192.0.2.3',
    'x-real-ip': '192.0.2.4',
    'x-functions-key': 'wrong',
    'x-request-id': 'chosen'
  }
  const answer = await api.get(path, forged)
  t.equal(answer.status, 200)
  isComplete(t, await recordOf(t, answer), answer)
})

test('the request id is the gateway\'s, which its log has too, and another each time', async (t) => {
  const { path } = await api.create()
  const answers = [await api.get(path), await api.get(path)]
  const records = await Promise.all(answers.map((answer) => recordOf(t, answer)))
  t.not(records[0]!.requestId, records[1]!.requestId)
  for (const { operationId, requestId } of records) {
    const lines = await api.system.linesOf(operationId, 'gateway')
    t.equal(lines.find(({ name }) => name === 'gateway').requestId, requestId)
  }
})

test('where the client sends no trace, or none that is one, the gateway starts it', async (t) => {
  const { id, path } = await api.create()
  for (const traceparent of [undefined, 'nonsense', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`]) {
    const before = new Set((await api.records()).map(({ id }) => id))
    t.equal((await api.get(path, { traceparent })).status, 200)
    const [record, ...more] = await api.records({}, ({ id }) => !before.has(id))
    t.strictSame(more, [])
    t.match(record, { resource: { id }, operationId: /^(?!0{32})[0-9a-f]{32}$/ })
  }
})

test('two requests of one trace are two records', async (t) => {
  const { path } = await api.create()
  const trace = randomUUID().replaceAll('-', '')
  const traceparent = `00-${trace}-00f067aa0ba902b7-00`
  const answer = await api.get(path, { traceparent })
  await api.get(path, { traceparent })
  t.equal((await api.recordsOf({ ...answer, trace })).length, 2)
})

test('nothing is stored without the record of the write that made it', async (t) => {
  const records = new Map((await api.records()).map((record) => [record.id, record]))
  t.equal(records.size, (await api.records()).length, 'ids are unique')
  for (const [name, type] of [['patients', 'patient'], ['tests', 'test']] as const) {
    const documents = await api.patientDb.collection<any>(name).find().toArray()
    t.ok(documents.length > 0)
    const without = documents.filter(({ _id, _audit }) => {
      const { resource, outcome } = records.get(_audit) ?? {}
      return resource?.type !== type || resource.id !== _id || outcome === 'failure'
    })
    t.strictSame(without, [])
  }
})

test('the register holds no value of a patient or a test result', async (t) => {
  holdsNoValue(t, JSON.stringify(await api.blocks()))
})

testLogs(api)
