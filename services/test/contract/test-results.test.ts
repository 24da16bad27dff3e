import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import {
  INSTANT, UUID, isProblem, newObservation, newPatient, newTest, secret, secretNumber, startApi, testLogs,
  unknownId
} from './api.ts'

const api = await startApi()
const JSON_TYPE = 'application/json; charset=utf-8'

test('a create answers 201 with the test result, its ids, lastUpdated, Location and ETag', async (t) => {
  const { id: patientId, path } = await api.create()
  const sent = newTest({ patientId, observations: [newObservation(), newObservation()] })
  const { status, headers, body } = await api.post(`${path}/tests`, sent)
  t.equal(status, 201)
  t.equal(headers['content-type'], JSON_TYPE)
  const { id, lastUpdated, ...rest } = body
  t.strictSame(rest, sent)
  t.match(id, UUID)
  t.match(lastUpdated, INSTANT)
  const loaded = await api.get(headers.location!)
  t.equal(loaded.status, 200)
  t.strictSame(loaded.body, body)
  t.equal(loaded.headers.etag, headers.etag)
  t.match(headers.etag, /^"[^"]+"$/)
})

test('patientId may be left out of the body, and comes from the path', async (t) => {
  const { id, path } = await api.create()
  const { result } = await api.createTest(path)
  t.equal(result.patientId, id)
  const bare = await api.createTest(path, { performer: undefined, orderReference: undefined })
  t.strictSame(Object.keys(bare.result).sort(), ['id', 'lastUpdated', 'observations', 'patientId'])
})

/** Changes of a test result to one observation with `changes`, and a pointer into it. */
function withObservation (changes: object, pointer: string): [object, string] {
  return [{ observations: [{ ...newObservation(), ...changes }] }, `#/observations/0${pointer}`]
}

test('a create refuses what is not a test result', async (t) => {
  const { id, path } = await api.create()
  const wrong: Array<[object, string]> = [
    [{ patientId: unknownId() }, '#/patientId'],
    [{ patientId: 'nobody' }, '#/patientId'],
    [{ id: unknownId() }, '#/id'],
    [{ lastUpdated: new Date().toISOString() }, '#/lastUpdated'],
    [{ performer: secretNumber() }, '#/performer'],
    [{ orderReference: { $gt: '' } }, '#/orderReference'],
    [{ [secret()]: secret() }, '#'],
    [{ observations: undefined }, '#'],
    [{ observations: [] }, '#/observations'],
    [{ observations: newObservation() }, '#/observations'],
    [{ observations: [null] }, '#/observations/0'],
    [{ observations: [newObservation(), { ...newObservation(), [secret()]: secret() }] }, '#/observations/1'],
    withObservation({ measurement: secretNumber() }, '/measurement'),
    ...['id', 'code', 'status'].map((property) => withObservation({ [property]: undefined }, `/${property}`)),
    withObservation({ measurement: undefined }, ''),
    withObservation({ status: secret() }, '/status'),
    withObservation({ value: { number: 1, text: secret() } }, '/value'),
    [{ observations: ['1', '1'].map((id) => ({ ...newObservation(), id })) }, '#/observations/1/id'],
    ...['2023-02-29', '2023-02-29T00:00:00Z', '2023-01-01T25:00:00Z', '2023-01-01T00:00:00', 'yesterday']
      .map((issued) => withObservation({ issued }, '/issued'))
  ]
  for (const [changes, pointer] of wrong) {
    const answer = await api.post(`${path}/tests`, newTest(changes))
    isProblem(t, answer, 400, 'INVALID_REQUEST')
    t.equal(answer.body.errors?.[0].pointer, pointer)
  }
  t.strictSame((await api.get(`${path}/tests`)).body, [])
  t.equal((await api.createTest(path, { patientId: id.toUpperCase() })).result.patientId, id)
})

test('a moment is kept as it was sent', async (t) => {
  const { path } = await api.create()
  const moments = [
    '2019-06-01T10:20:30Z', '2019-06-01T10:20:30.123456789+05:45', '2016-12-31T23:59:60Z',
    '2020-02-29T00:00:00-00:00'
  ]
  for (const issued of moments) {
    const observations = [{ ...newObservation(), issued }]
    const { result, path: at } = await api.createTest(path, { observations })
    t.equal(result.observations[0].issued, issued)
    t.strictSame((await api.get(at)).body, result)
  }
})

test('a create for a path id that is no uuid is a 400, and for an unknown patient a 404', async (t) => {
  isProblem(t, await api.post('/patient/nobody/tests', newTest()), 400, 'INVALID_REQUEST')
  isProblem(t, await api.post(`/patient/${unknownId()}/tests`, newTest()), 404, 'PATIENT_NOT_FOUND')
  t.equal(await api.patientDb.collection('tests').countDocuments({ _shardKey: 'nobody' }), 0)
})

test('the test results of a patient are an array, always, and of no other patient', async (t) => {
  const { path } = await api.create()
  const other = await api.create()
  const none = await api.get(`${path}/tests`)
  t.equal(none.status, 200)
  t.equal(none.headers['content-type'], JSON_TYPE)
  t.strictSame(none.body, [])
  const stored = [await api.createTest(path), await api.createTest(path)]
  const foreign = await api.createTest(other.path)
  const { body } = await api.get(`${path}/tests`)
  t.strictSame(body, stored.map(({ result }) => result).sort((a, b) => a.id < b.id ? -1 : 1))
  isProblem(t, await api.get(`${path}/tests/${foreign.id}`), 404, 'TEST_NOT_FOUND')
  isProblem(t, await api.put(`${path}/tests/${foreign.id}`, newTest()), 404, 'TEST_NOT_FOUND')
  isProblem(t, await api.patch(`${path}/tests/${foreign.id}`, {}), 404, 'TEST_NOT_FOUND')
  isProblem(t, await api.delete(`${path}/tests/${foreign.id}`), 404, 'TEST_NOT_FOUND')
  t.strictSame((await api.get(foreign.path)).body, foreign.result)
})

test('unknown patients and test results are 404s, and so are ids that are no uuid', async (t) => {
  const { path } = await api.create()
  const { id } = await api.createTest(path)
  for (const patient of [`/patient/${unknownId()}`, '/patient/nobody']) {
    isProblem(t, await api.get(`${patient}/tests`), 404, 'PATIENT_NOT_FOUND')
    isProblem(t, await api.get(`${patient}/tests/${id}`), 404)
    isProblem(t, await api.put(`${patient}/tests/${id}`, newTest()), 404)
    isProblem(t, await api.patch(`${patient}/tests/${id}`, {}), 404)
    isProblem(t, await api.delete(`${patient}/tests/${id}`), 404)
  }
  for (const missing of [unknownId(), 'nothing']) {
    isProblem(t, await api.get(`${path}/tests/${missing}`), 404, 'TEST_NOT_FOUND')
    isProblem(t, await api.put(`${path}/tests/${missing}`, newTest()), 404, 'TEST_NOT_FOUND')
    isProblem(t, await api.patch(`${path}/tests/${missing}`, {}), 404, 'TEST_NOT_FOUND')
    isProblem(t, await api.delete(`${path}/tests/${missing}`), 404, 'TEST_NOT_FOUND')
  }
})

test('a PUT replaces the whole, takes the body as loaded, and refuses another id', async (t) => {
  const { path: patient } = await api.create()
  const { result, path, etag } = await api.createTest(patient)
  await sleep(2)
  const { observations } = newTest()
  const { status, headers, body } = await api.put(path, { ...result, observations, performer: undefined })
  t.equal(status, 200)
  const { id, patientId, orderReference } = result
  t.strictSame(body, { id, patientId, orderReference, observations, lastUpdated: body.lastUpdated })
  t.ok(body.lastUpdated > result.lastUpdated)
  t.not(headers.etag, etag)
  t.strictSame((await api.get(path)).body, body)
  isProblem(t, await api.put(path, { ...result, id: unknownId() }), 400, 'INVALID_REQUEST')
  isProblem(t, await api.put(path, { ...result, patientId: unknownId() }), 400, 'INVALID_REQUEST')
  isProblem(t, await api.put(path, { performer: secret() }), 400, 'INVALID_REQUEST')
  t.strictSame((await api.get(path)).body, body)
})

test('a PATCH is a JSON merge patch: an array takes the place of the array', async (t) => {
  const { path: patient } = await api.create()
  const before = [newObservation(), newObservation()]
  const { result, path, etag } = await api.createTest(patient, { observations: before })
  const observations = [newObservation()]
  const { status, headers, body } = await api.patch(path, { observations, performer: null })
  t.equal(status, 200)
  const { performer, ...rest } = result
  t.strictSame(body, { ...rest, observations, lastUpdated: body.lastUpdated })
  t.not(headers.etag, etag)
  t.strictSame((await api.get(path)).body, body)
  const bodies = [
    { observations: [] }, { observations: null }, { observations: [{ status: secret() }] },
    { patientId: null }, { id: unknownId() }, { patientId: unknownId() }, { [secret()]: null }
  ]
  for (const wrong of bodies) {
    isProblem(t, await api.patch(path, wrong), 400, 'INVALID_REQUEST')
  }
  t.strictSame((await api.get(path)).body, body)
})

test('a DELETE answers 204, and the test result is gone', async (t) => {
  const { path: patient } = await api.create()
  const { path } = await api.createTest(patient)
  const kept = await api.createTest(patient)
  const { status, text } = await api.delete(path)
  t.equal(status, 204)
  t.equal(text, '')
  isProblem(t, await api.get(path), 404, 'TEST_NOT_FOUND')
  isProblem(t, await api.delete(path), 404, 'TEST_NOT_FOUND')
  t.strictSame((await api.get(`${patient}/tests`)).body, [kept.result])
})

test('uuids are read in any case', async (t) => {
  const { id } = await api.create()
  const { result } = await api.createTest(`/patient/${id.toUpperCase()}`)
  const path = `/patient/${id.toUpperCase()}/tests/${result.id.toUpperCase()}`
  t.strictSame((await api.get(path)).body, result)
  t.strictSame((await api.get(`/patient/${id.toUpperCase()}/tests`)).body, [result])
  const ids = { id: result.id, patientId: id }
  t.match((await api.put(path, { ...result, id: result.id.toUpperCase() })).body, ids)
  t.match((await api.patch(path, { ...ids, patientId: id.toUpperCase() })).body, ids)
  t.equal((await api.delete(path)).status, 204)
})

test('writes are conditional on If-Match, and loads on If-None-Match', async (t) => {
  const { path: patient } = await api.create()
  const { result, path, etag } = await api.createTest(patient)
  t.equal((await api.get(path, { 'if-none-match': etag })).status, 304)
  const refusals = [['"other"', 412, 'TEST_STALE'], [`W/${etag}`, 400, 'INVALID_PRECONDITION']] as const
  for (const [tag, status, code] of refusals) {
    isProblem(t, await api.put(path, newTest(), { 'if-match': tag }), status, code)
    isProblem(t, await api.patch(path, {}, { 'if-match': tag }), status, code)
    isProblem(t, await api.delete(path, { 'if-match': tag }), status, code)
  }
  t.strictSame((await api.get(path)).body, result)
  const put = await api.put(path, newTest(), { 'if-match': etag })
  t.equal(put.status, 200)
  const patched = await api.patch(path, {}, { 'if-match': `"other", ${put.headers.etag}` })
  t.equal(patched.status, 200)
  isProblem(t, await api.delete(path, { 'if-match': put.headers.etag }), 412, 'TEST_STALE')
  t.equal((await api.delete(path, { 'if-match': patched.headers.etag })).status, 204)
  isProblem(t, await api.delete(path, { 'if-match': '*' }), 404)
})

test('a patient that changes keeps its test results', async (t) => {
  const { path } = await api.create()
  const { result } = await api.createTest(path)
  await api.put(path, newPatient())
  await api.patch(path, { lastName: secret() })
  t.strictSame((await api.get(`${path}/tests`)).body, [result])
})

testLogs(api)
