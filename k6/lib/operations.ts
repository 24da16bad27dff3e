import { check } from 'k6'
import { call, json, routes, type Answer } from './client.ts'
import { invalidPatient, invalidTest, newPatient, newTest, unknownId } from './samples.ts'

/** The data of one user: its own patient with one test result, and the patient that it created last. */
export interface Own {
  lastName: string
  patient: Answer
  test: Answer
  newest: string
}

const isProblem = (answer: Answer, status: number, pointer?: string) => {
  const problem = json(answer)
  return answer.status === status && problem?.status === status && (pointer === undefined || problem.errors?.[0]?.pointer === pointer)
}

const ids = ({ patient, test }: Own) => ({ patientId: json(patient).id, testId: json(test).id })

/** Stores a patient and a test result; undefined if that failed. */
export function store (lastName: string): Own | undefined {
  const patient = call('POST', routes.patients, { body: newPatient(lastName), expected: 201 })
  const patientId = json(patient)?.id
  if (!check(patient, { 'a user has a patient': () => patient.status === 201 && typeof patientId === 'string' })) return
  const test = call('POST', routes.tests, { ids: { patientId }, body: newTest, expected: 201 })
  if (!check(test, { 'and a test result of it': () => test.status === 201 && json(test)?.patientId === patientId })) return
  return { lastName, patient, test, newest: patientId }
}

export function echo () {
  // Microsoft's echo service, not the gateway, decides the rest of the response
  check(call('GET', routes.echo, { query: '?param1=sample' }), { 'echo: 200': ({ status }) => status === 200 })
}

export function createPatient (own: Own) {
  const answer = call('POST', routes.patients, { body: newPatient(own.lastName), expected: 201 })
  const { id, lastUpdated, lastName } = json(answer) ?? {}
  const created = check(answer, {
    'create: 201 with what was sent, an id and a time': ({ status }) => status === 201 && typeof id === 'string' && !isNaN(Date.parse(lastUpdated)) && lastName === own.lastName
  })
  if (created) own.newest = id
}

export function createInvalidPatient ({ lastName }: Own) {
  const answer = call('POST', routes.patients, { body: invalidPatient(lastName), expected: 400 })
  check(answer, { 'create, invalid: 400 that names the property': () => isProblem(answer, 400, '#/postCode') })
}

export function loadPatient (own: Own) {
  const answer = call('GET', routes.patient, { ids: ids(own) })
  check(answer, { 'load: 200 as it was stored': ({ status, body }) => status === 200 && body === own.patient.body })
}

export function loadUnknownPatient () {
  const answer = call('GET', routes.patient, { ids: { patientId: unknownId }, expected: 404 })
  check(answer, { 'load, unknown: 404': () => isProblem(answer, 404) })
}

/** Loads a patient and puts the same body. */
export function updatePatient (own: Own) {
  const loaded = call('GET', routes.patient, { ids: ids(own) })
  if (!check(loaded, { 'load before an update: 200 as it was stored': ({ status, body }) => status === 200 && body === own.patient.body })) return
  const answer = call('PUT', routes.patient, { ids: ids(own), body: loaded.body as string })
  const { lastUpdated: before, ...details } = json(loaded)
  const { lastUpdated, ...updated } = json(answer) ?? {}
  const done = check(answer, {
    'update: 200 with the same details': ({ status }) => status === 200 && JSON.stringify(updated) === JSON.stringify(details),
    'update: a later time': () => lastUpdated > before
  })
  if (done) own.patient = answer
}

export function searchById (own: Own) {
  const answer = call('POST', routes.search, { body: { id: ids(own).patientId } })
  check(answer, { 'search by id: 200 with this patient alone': ({ status, body }) => status === 200 && body === `[${own.patient.body}]` })
}

export function searchAll () {
  const answer = call('POST', routes.search, { body: {} })
  const found = json(answer)
  check(answer, { 'search by {}: 200 with a page': ({ status }) => status === 200 && found?.length > 0 && found.length <= 100 && found.every(({ id }: { id?: string }) => id) })
}

export function createTest ({ newest }: Own) {
  const answer = call('POST', routes.tests, { ids: { patientId: newest }, body: newTest, expected: 201 })
  const { id, patientId, observations } = json(answer) ?? {}
  check(answer, {
    'create test: 201 with what was sent and an id': ({ status }) => status === 201 && typeof id === 'string' && patientId === newest && JSON.stringify(observations) === JSON.stringify(newTest.observations)
  })
}

export function createInvalidTest ({ newest }: Own) {
  const answer = call('POST', routes.tests, { ids: { patientId: newest }, body: invalidTest, expected: 400 })
  check(answer, { 'create test, invalid: 400 that names the property': () => isProblem(answer, 400, '#/observations') })
}

export function loadTests (own: Own) {
  const answer = call('GET', routes.tests, { ids: ids(own) })
  const tests = json(answer)
  check(answer, { 'load tests: 200 with those of this patient': ({ status }) => status === 200 && tests?.length > 0 && tests.every(({ patientId }: { patientId?: string }) => patientId === ids(own).patientId) })
}

export function loadTestsOfUnknownPatient () {
  const answer = call('GET', routes.tests, { ids: { patientId: unknownId }, expected: 404 })
  check(answer, { 'load tests, unknown patient: 404': () => isProblem(answer, 404) })
}

export function loadTest (own: Own) {
  const answer = call('GET', routes.test, { ids: ids(own) })
  check(answer, { 'load test: 200 as it was stored': ({ status, body }) => status === 200 && body === own.test.body })
}

export function loadUnknownTest (own: Own) {
  const answer = call('GET', routes.test, { ids: { ...ids(own), testId: unknownId }, expected: 404 })
  check(answer, { 'load test, unknown: 404': () => isProblem(answer, 404) })
}

/** Creates one patient with two requests and one Idempotency-Key, which the data key protects. */
export function createOnce ({ lastName }: Own) {
  const call201 = () => call('POST', routes.patients, { body: newPatient(lastName), headers, expected: 201 })
  const headers = { 'Idempotency-Key': crypto.randomUUID() }
  const [first, second] = [call201(), call201()]
  check(second, { 'create again with the same Idempotency-Key: 201 with the same patient': ({ status, body }) => status === 201 && body === first.body })
}

/** Loads the next page with a cursor, which the data key encrypts. */
export function nextPage ({ lastName }: Own) {
  const first = call('POST', routes.search, { query: '?limit=1', body: { lastName } })
  const found = json(first)
  check(first, { 'first page: 200 with one patient': ({ status }) => status === 200 && found?.length === 1 })
  const next = /<[^>?]*(\?[^>]*)>; rel="next"/.exec(first.headers.Link ?? '')?.[1]
  if (!next) return
  const second = call('POST', routes.search, { query: next, body: { lastName } })
  check(second, { 'next page: 200 with another one': ({ status }) => status === 200 && json(second)?.length === 1 && json(second)[0].id !== found[0].id })
}

/** Changes and deletes the patient and its test result, each with If-Match. */
export function changeAndDelete (own: Own) {
  const ifAsStored = ({ headers }: Answer) => ({ 'If-Match': headers.Etag! })
  const patched = call('PATCH', routes.patient, { ids: ids(own), body: { lastName: null, fullName: own.lastName }, headers: ifAsStored(own.patient) })
  const patient = json(patched)
  check(patched, { 'patch: 200 as it was changed': ({ status }) => status === 200 && patient?.fullName === own.lastName && !('lastName' in patient) })

  const replaced = call('PUT', routes.test, { ids: ids(own), body: { ...newTest, orderReference: 'A-17' }, headers: ifAsStored(own.test) })
  check(replaced, { 'update test: 200 as it was sent': ({ status }) => status === 200 && json(replaced)?.orderReference === 'A-17' })
  const stale = call('PATCH', routes.test, { ids: ids(own), body: { performer: null }, headers: ifAsStored(own.test), expected: 412 })
  check(stale, { 'patch test, changed meanwhile: 412': () => isProblem(stale, 412) })
  const test = call('PATCH', routes.test, { ids: ids(own), body: { performer: null }, headers: ifAsStored(replaced) })
  check(test, { 'patch test: 200 as it was changed': ({ status }) => status === 200 && json(test)?.orderReference === 'A-17' && !('performer' in json(test)) })

  check(call('DELETE', routes.test, { ids: ids(own), expected: 204 }), { 'delete test: 204': ({ status }) => status === 204 })
  check(call('DELETE', routes.patient, { ids: ids(own), expected: 204 }), { 'delete: 204': ({ status }) => status === 204 })
  check(call('GET', routes.patient, { ids: ids(own), expected: 404 }), { 'load, deleted: 404': (answer) => isProblem(answer, 404) })
}
