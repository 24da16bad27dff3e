import { test, type Test } from 'tap'
import { purposesOfUse } from '#common/purpose-of-use.ts'
import {
  isProblem, newPatient, newTest, requestsAbout, secret, startApi, testLogs, unknownId, type Answer
} from './api.ts'

const api = await startApi()

const REASON = 'Bewusstlos nach Unfall — keine Angehörigen 🚑'
const person = { 'x-on-behalf-of': 'urn:staff:4711' }
const emergency = { ...person, 'x-purpose-of-use': 'BTG', 'x-purpose-reason': asHeader(REASON) }
const recorded = { onBehalfOf: 'urn:staff:4711', purpose: 'BTG', reason: REASON }

/** Clients send the bytes of UTF-8. */
function asHeader (text: string) {
  return Buffer.from(text).toString('latin1')
}

/** Each record of the answer says on whose behalf and why. */
async function areRecorded (t: Test, answer: Answer, count: number, expected: object = recorded) {
  const records = await api.recordsOf(answer)
  t.equal(records.length, count, answer.text)
  for (const record of records) t.match(record, expected)
}

test('records of reads and searches say on whose behalf and why', async (t) => {
  const { patient, path } = await api.create()
  await api.createTest(path)
  await areRecorded(t, await api.get(path, emergency), 1)
  await areRecorded(t, await api.get(`/patient/${unknownId()}`, emergency), 1)
  await areRecorded(t, await api.search({ lastName: patient.lastName }, '', emergency), 1)
  await areRecorded(t, await api.get(`${path}/tests`, emergency), 1)
})

test('records of writes say so, whether they succeed or fail', async (t) => {
  const created = await api.post('/patient', newPatient(), emergency)
  await areRecorded(t, created, 1)
  const path = `/patient/${created.body.id}`
  await areRecorded(t, await api.put(path, newPatient(), emergency), 1)
  await areRecorded(t, await api.patch(path, { lastName: secret() }, emergency), 1)
  await areRecorded(t, await api.post(`${path}/tests`, newTest(), emergency), 1)
  await areRecorded(t, await api.patch(path, {}, { ...emergency, 'if-match': '"other"' }), 2)
  await areRecorded(t, await api.delete(`/patient/${unknownId()}`, emergency), 2)
  await areRecorded(t, await api.delete(path, emergency), 1)
})

test('both records of a move or a merge say so', async (t) => {
  const [from, to] = [await api.create(), await api.create()]
  const { path } = await api.createTest(from.path)
  const moved = await api.post(`${path}/move`, { patientId: to.id }, emergency)
  t.equal(moved.status, 200)
  await areRecorded(t, moved, 2)
  const merged = await api.post(`${to.path}/merge`, { from: from.id }, emergency)
  t.equal(merged.status, 200)
  await areRecorded(t, merged, 2)
})

test('every code of PurposeOfUse is taken', async (t) => {
  const { path } = await api.create()
  for (const purpose of purposesOfUse) {
    const answer = await api.get(path, { ...emergency, 'x-purpose-of-use': purpose })
    t.equal(answer.status, 200, purpose)
    await areRecorded(t, answer, 1, { purpose })
  }
  await areRecorded(t, await api.get(path, { 'x-purpose-of-use': 'TREAT' }), 1, { purpose: 'TREAT' })
  const [record] = await api.recordsOf(await api.get(path))
  t.notMatch(Object.keys(record!).join(), /purpose|onBehalfOf|reason/)
})

test('a malformed header is refused at the gateway, and nothing is done', async (t) => {
  const malformed: Array<[name: string, ...values: string[]]> = [
    ['X-On-Behalf-Of', secret().padEnd(129, 'x'), `${secret()} ${secret()}`, 'é', ''],
    ['X-Purpose-Of-Use', secret(), 'treat', ''],
    ['X-Purpose-Reason', 'too short', 'x'.repeat(801)]
  ]
  for (const [name, ...values] of malformed) {
    for (const value of values) {
      const answer = await api.post('/patient', newPatient(), { [name]: value })
      t.equal(answer.status, 400, answer.text)
      t.match(answer.body, { statusCode: 400, message: new RegExp(`^${name} must be `) })
      t.notOk(value && answer.text.includes(value))
      t.strictSame(await api.recordsOf(answer), [])
    }
  }
})

test('what only the service can check is refused there', async (t) => {
  const refused: Array<[headers: Record<string, string>, detail: RegExp]> = [
    [{ 'x-purpose-of-use': 'ETREAT' }, /^X-Purpose-Of-Use needs X-Purpose-Reason/],
    [{ 'x-purpose-of-use': 'BTG' }, /^X-Purpose-Of-Use needs X-Purpose-Reason/],
    [{ 'x-purpose-reason': 'a reason without a purpose' }, /^X-Purpose-Reason needs X-Purpose-Of-Use/],
    [{ 'x-purpose-of-use': 'TREAT', 'x-purpose-reason': 'x'.repeat(201) }, /^X-Purpose-Reason must be/],
    [{ 'x-purpose-of-use': 'TREAT', 'x-purpose-reason': 'no UTF-8 \xe9\xe9' }, /^X-Purpose-Reason must be/]
  ]
  const { patient, path, etag } = await api.create()
  const { path: testPath } = await api.createTest(path)
  for (const [headers, detail] of refused) {
    const answer = await api.get(path, headers)
    isProblem(t, answer, 400, 'INVALID_CALLER')
    t.match(answer.body.detail, detail)
    t.strictSame(await api.recordsOf(answer), [])
  }
  const unchanged = await api.dump()
  for (const [what, request] of Object.entries(requestsAbout(api, { patient, path, etag }, testPath))) {
    const answer = await request()
    t.ok(answer.status < 500, `${what} works without the headers`)
  }
  t.not(await api.dump(), unchanged)
})

testLogs(api)
