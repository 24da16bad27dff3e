import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import {
  INSTANT, UUID, dateOfBirth, isProblem, newPatient, secret, startApi, testLogs, unknownId
} from './api.ts'

const api = await startApi()
const JSON_TYPE = 'application/json; charset=utf-8'

function countStored (_id: object) {
  return api.patientDb.collection<{ _id: string }>('patients').countDocuments({ _id })
}

test('a create answers 201 with the patient, its id, lastUpdated, Location and ETag', async (t) => {
  const sent = newPatient()
  const began = Date.now()
  const { status, headers, body } = await api.post('/patient', sent)
  t.equal(status, 201)
  t.equal(headers['content-type'], JSON_TYPE)
  const { id, lastUpdated, ...rest } = body
  t.strictSame(rest, sent)
  t.match(id, UUID)
  t.match(lastUpdated, INSTANT)
  t.ok(Date.parse(lastUpdated) >= began - 1 && Date.parse(lastUpdated) <= Date.now() + 1)
  t.match(headers.etag, /^"[^"]+"$/)
  const loaded = await api.get(headers.location!)
  t.equal(loaded.status, 200)
  t.equal(loaded.headers['content-type'], JSON_TYPE)
  t.equal(loaded.headers.etag, headers.etag)
  t.strictSame(loaded.body, body)
})

test('the required properties alone make a patient, and no other comes to it', async (t) => {
  const { firstName, gender, dateOfBirth, postCode } = newPatient()
  const sent = { firstName, gender, dateOfBirth, postCode }
  const { patient, path } = await api.create({
    ...sent,
    lastName: undefined,
    fullName: undefined,
    insuranceNumber: undefined,
    preferredContactNumber: undefined
  })
  const properties = ['dateOfBirth', 'firstName', 'gender', 'id', 'lastUpdated', 'postCode']
  t.strictSame(Object.keys(patient).sort(), properties)
  t.strictSame((await api.get(path)).body, patient)
})

test('each required property is required', async (t) => {
  for (const property of ['firstName', 'gender', 'dateOfBirth', 'postCode']) {
    const { path, patient } = await api.create()
    for (const [method, at] of [['POST', '/patient'], ['PUT', path]] as const) {
      const answer = await api.call(method, at, { body: newPatient({ [property]: undefined }) })
      isProblem(t, answer, 400, 'INVALID_REQUEST')
      t.strictSame(answer.body.errors, [{ pointer: `#/${property}`, message: 'is required' }])
    }
    isProblem(t, await api.patch(path, { [property]: null }), 400)
    t.strictSame((await api.get(path)).body, patient)
  }
})

test('values up to their bounds are kept as they were sent, and beyond them refused', async (t) => {
  const name = (length: number) => secret().padEnd(length, 'é')
  const goodDates = [
    '0001', '1999', '1999-01', '1999-12', '1999-12-31', '2000-02-29', '2024-02-29', '9999-12-31'
  ]
  const good: object[] = [
    { firstName: name(64) }, { lastName: name(64) }, { fullName: name(128) }, { postCode: 'É😀9 ' },
    { firstName: '\u{1f600}'.repeat(64) }, { firstName: 'x' }, { insuranceNumber: name(300) },
    { preferredContactNumber: `"\\ \u0001\n${secret()}` }, { lastName: '$gt' }, { lastName: '__proto__' },
    { lastName: 'null' },
    ...['male', 'female', 'other', 'unknown'].map((gender) => ({ gender })),
    ...goodDates.map((dateOfBirth) => ({ dateOfBirth }))
  ]
  for (const changes of good) {
    const { patient, path } = await api.create(changes)
    t.match(patient, changes)
    t.strictSame((await api.get(path)).body, patient)
  }
  const badDates = [
    '1900-02-29', '2023-02-29', '2023-04-31', '2023-13', '2023-00', '2023-01-00', '2023-1', '23', '202',
    '20230101', '2023-01-01T00:00:00Z', ' 2023', '2023\n', '-2023', '٢٠٢٣', ''
  ]
  const bad: object[] = [
    { firstName: name(65) }, { lastName: name(65) }, { fullName: name(129) }, { firstName: '' },
    { postCode: '' }, { postCode: '123' }, { postCode: '12345' },
    ...['Male', 'm', '', 'females'].map((gender) => ({ gender })),
    ...badDates.map((dateOfBirth) => ({ dateOfBirth }))
  ]
  for (const changes of bad) {
    const answer = await api.post('/patient', newPatient(changes))
    isProblem(t, answer, 400, 'INVALID_REQUEST')
    t.equal(answer.body.errors?.[0].pointer, `#/${Object.keys(changes)[0]}`)
  }
})

test('a create refuses id and lastUpdated', async (t) => {
  for (const assigned of [{ id: unknownId() }, { lastUpdated: new Date().toISOString() }]) {
    const answer = await api.post('/patient', { ...newPatient(), ...assigned })
    isProblem(t, answer, 400, 'INVALID_REQUEST')
    t.equal(answer.body.errors[0].pointer, `#/${Object.keys(assigned)[0]}`)
  }
})

test('a body is read as JSON whatever its Content-Type, or without one', async (t) => {
  const types = [
    undefined, 'application/json', 'application/json; charset=utf-8', 'text/plain',
    'application/x-www-form-urlencoded', 'application/merge-patch+json', 'application/octet-stream',
    'multipart/form-data', 'nonsense'
  ]
  for (const type of types) {
    const headers = { 'content-type': type }
    const what = String(type)
    const sent = newPatient()
    const created = await api.post('/patient', JSON.stringify(sent), headers)
    t.equal(created.status, 201, what)
    const path = `/patient/${created.body.id}`
    t.equal((await api.put(path, JSON.stringify(sent), headers)).status, 200, what)
    t.equal((await api.patch(path, JSON.stringify({ lastName: secret() }), headers)).status, 200, what)
    const body = JSON.stringify({ id: created.body.id })
    const found = await api.call('POST', '/patient/search', { body, headers })
    t.equal(found.body.length, 1, what)
  }
})

test('an unknown id is a 404, and so is one that is no uuid', async (t) => {
  const id = unknownId()
  for (const wrong of [id, 'nobody', '0', 'null', '%7B%22$gt%22:%22%22%7D', `${id}x`, `urn:uuid:${id}`]) {
    const path = `/patient/${wrong}`
    isProblem(t, await api.get(path), 404, 'PATIENT_NOT_FOUND')
    isProblem(t, await api.put(path, newPatient()), 404, 'PATIENT_NOT_FOUND')
    isProblem(t, await api.patch(path, { lastName: secret() }), 404, 'PATIENT_NOT_FOUND')
    isProblem(t, await api.delete(path), 404, 'PATIENT_NOT_FOUND')
  }
  t.equal(await countStored({ $not: /^.{36}$/ }), 0)
})

test('a PUT replaces the whole, with a new lastUpdated and ETag', async (t) => {
  const { patient, path, etag } = await api.create()
  await sleep(2)
  const { lastName, fullName, ...sent } = newPatient()
  const changed = { ...patient, ...sent, lastName: undefined, fullName: undefined }
  const { status, headers, body } = await api.put(path, changed)
  t.equal(status, 200)
  t.equal(headers['content-type'], JSON_TYPE)
  const { id, lastUpdated, ...rest } = body
  t.strictSame(rest, sent)
  t.equal(id, patient.id)
  t.match(lastUpdated, INSTANT)
  t.ok(lastUpdated > patient.lastUpdated)
  t.match(headers.etag, /^"[^"]+"$/)
  t.not(headers.etag, etag)
  const loaded = await api.get(path)
  t.strictSame(loaded.body, body)
  t.equal(loaded.headers.etag, headers.etag)
})

test('a PUT takes the body as it was loaded, or without id and lastUpdated', async (t) => {
  const { patient, path } = await api.create()
  t.match((await api.put(path, patient)).body, { ...patient, lastUpdated: INSTANT })
  const { id, lastUpdated, ...bare } = patient
  t.match((await api.put(path, bare)).body, { ...bare, id })
  t.match((await api.put(path, { ...bare, id: id.toUpperCase() })).body, { id })
})

test('a body.id that differs from the path is a 400', async (t) => {
  const { patient, path } = await api.create()
  for (const id of [unknownId(), 'nobody', '', null, 1]) {
    isProblem(t, await api.put(path, { ...patient, id }), 400, 'INVALID_REQUEST')
    isProblem(t, await api.patch(path, { id }), 400, 'INVALID_REQUEST')
  }
  isProblem(t, await api.put(path, { ...patient, lastUpdated: 'yesterday' }), 400, 'INVALID_REQUEST')
  t.strictSame((await api.get(path)).body, patient)
})

test('identical PUTs at once are all 200', async (t) => {
  const { patient, path } = await api.create()
  for (let round = 0; round < 10; round++) {
    const body = newPatient()
    const answers = await Promise.all(Array.from({ length: 4 }, () => api.put(path, body)))
    t.strictSame(answers.map(({ status }) => status), [200, 200, 200, 200])
    const loaded = (await api.get(path)).body
    t.strictSame(loaded, { ...body, id: patient.id, lastUpdated: loaded.lastUpdated })
  }
})

test('a PATCH is a JSON merge patch', async (t) => {
  const { patient, path, etag } = await api.create()
  const lastName = secret()
  const patched = await api.patch(path, { lastName, fullName: null })
  t.equal(patched.status, 200)
  const { fullName, ...rest } = patient
  t.strictSame(patched.body, { ...rest, lastName, lastUpdated: patched.body.lastUpdated })
  t.not(patched.headers.etag, etag)
  t.strictSame((await api.get(path)).body, patched.body)
  t.equal((await api.patch(path, { insuranceNumber: null })).status, 200)
  t.equal((await api.patch(path, { insuranceNumber: null })).status, 200, 'removing nothing is no error')
  const nothing = await api.patch(path, {})
  t.equal(nothing.status, 200)
  t.match(nothing.body, { id: patient.id, lastName })
  const same = { id: patient.id, lastUpdated: patient.lastUpdated }
  t.equal((await api.patch(path, { ...same, postCode: 'N1 1' })).body.postCode, 'N1 1')
})

test('a PATCH obeys the rules of the properties', async (t) => {
  const { patient, path } = await api.create()
  const wrong = [
    { firstName: '' }, { gender: 'm' }, { dateOfBirth: '2023-02-29' }, { postCode: '12345' },
    { lastName: { $gt: '' } }, { lastName: 1 }, { [secret()]: 1 }, { fullName: 'x'.repeat(129) }
  ]
  for (const patch of wrong) {
    isProblem(t, await api.patch(path, patch), 400, 'INVALID_REQUEST')
  }
  for (const patch of ['[]', 'null', '"x"', '1', '']) isProblem(t, await api.patch(path, patch), 400)
  t.strictSame((await api.get(path)).body, patient)
})

test('a DELETE answers 204 without a body, and the patient is gone', async (t) => {
  const { id, path } = await api.create()
  const { status, text } = await api.delete(path)
  t.equal(status, 204)
  t.equal(text, '')
  isProblem(t, await api.get(path), 404)
  isProblem(t, await api.put(path, newPatient()), 404)
  isProblem(t, await api.patch(path, {}), 404)
  isProblem(t, await api.delete(path), 404)
  t.strictSame((await api.search({ id })).body, [])
})

test('a path with and without a trailing slash is the same', async (t) => {
  const created = await api.post('/patient/', newPatient())
  t.equal(created.status, 201)
  const path = `/patient/${created.body.id}/`
  t.strictSame((await api.get(path)).body, created.body)
  const search = { body: { id: created.body.id } }
  t.strictSame((await api.call('POST', '/patient/search/', search)).body, [created.body])
  t.equal((await api.put(path, newPatient())).status, 200)
  t.equal((await api.patch(path, {})).status, 200)
  t.equal((await api.post(`${path}tests/`, { observations: [] })).status, 400)
  t.strictSame((await api.get(`${path}tests/`)).body, [])
  t.equal((await api.delete(path)).status, 204)
})

test('uuids are read in any case, and answered and stored in lower case', async (t) => {
  const { patient, id } = await api.create()
  const path = `/patient/${id.toUpperCase()}`
  t.strictSame((await api.get(path)).body, patient)
  t.equal((await api.put(path, { ...patient, id: id.toUpperCase() })).body.id, id)
  t.equal((await api.patch(path, { id })).body.id, id)
  t.equal((await api.search({ id: id.toUpperCase() })).body.length, 1)
  t.equal(await countStored(new RegExp(`^${id}$`, 'i')), 1)
  t.equal((await api.delete(path)).status, 204)
  t.equal((await api.get(`/patient/${id}`)).status, 404)
})

test('a load is 304 on If-None-Match with its ETag, weak or not, and 200 otherwise', async (t) => {
  const { patient, path, etag } = await api.create()
  for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const { status, headers, text } = await api.get(path, { 'if-none-match': tags })
    t.equal(status, 304, tags)
    t.equal(headers.etag, etag)
    t.equal(text, '')
  }
  const other = await api.get(path, { 'if-none-match': '"other"' })
  t.equal(other.status, 200)
  t.strictSame(other.body, patient)
  await api.patch(path, {})
  t.equal((await api.get(path, { 'if-none-match': etag })).status, 200)
  isProblem(t, await api.get(`/patient/${unknownId()}`, { 'if-none-match': '*' }), 404)
})

test('a date of birth is answered as precisely as it was sent', async (t) => {
  for (let i = 0; i < 10; i++) {
    const { patient, path } = await api.create({ dateOfBirth: dateOfBirth() })
    t.equal((await api.get(path)).body.dateOfBirth, patient.dateOfBirth)
  }
})

testLogs(api)
