import { check } from 'k6'
import { call, json, routes, type Answer, type Call, type Method, type Route } from './client.ts'
import { invalidPatient, invalidTest, newPatient, newTest, unknownId } from './samples.ts'

/** The data of one user: its own patient with one test result, and the patient that it created last. */
export interface Own {
  lastName: string
  patient: Answer
  test: Answer
  newest: string
}

const ids = ({ patient, test }: Own) => ({ patientId: json(patient).id, testId: json(test).id })
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/**
 * Sends a request and checks its response.
 *
 * @param holds whether the body, an empty object where it is not JSON, and the response are as expected
 */
function send (
  name: string, method: Method, route: Route, options: Call, holds = (_body: any, _answer: Answer) => true
) {
  const answer = call(method, route, options)
  const body = json(answer) ?? {}
  const { expected = 200 } = options
  const ok = check(answer, { [name]: () => answer.status === expected && holds(body, answer) })
  return { answer, body, ok }
}

/** Sends a request and checks that it is refused, because of the property at `pointer` if given. */
function refused (name: string, method: Method, route: Route, options: Call, pointer?: string) {
  send(name, method, route, options, ({ status, errors }) =>
    status === options.expected && (pointer === undefined || errors?.[0]?.pointer === pointer))
}

/** Stores a patient and a test result; undefined if that failed. */
export function store (lastName: string): Own | undefined {
  const patient = send('a user has a patient', 'POST', routes.patients,
    { body: newPatient(lastName), expected: 201 }, ({ id }) => typeof id === 'string')
  if (!patient.ok) return
  const patientId = patient.body.id
  const test = send('and a test result of it', 'POST', routes.tests,
    { ids: { patientId }, body: newTest, expected: 201 }, (body) => body.patientId === patientId)
  if (test.ok) return { lastName, patient: patient.answer, test: test.answer, newest: patientId }
}

export function echo () {
  // Microsoft's echo service, not the gateway, decides the rest of the response
  send('echo: 200', 'GET', routes.echo, { query: '?param1=sample' })
}

export function createPatient (own: Own) {
  const { body, ok } = send('create: 201 with what was sent, an id and a time', 'POST', routes.patients,
    { body: newPatient(own.lastName), expected: 201 }, ({ id, lastUpdated, lastName }) =>
      typeof id === 'string' && !isNaN(Date.parse(lastUpdated)) && lastName === own.lastName)
  if (ok) own.newest = body.id
}

export function createInvalidPatient ({ lastName }: Own) {
  refused('create, invalid: 400 that names the property', 'POST', routes.patients,
    { body: invalidPatient(lastName), expected: 400 }, '#/postCode')
}

export function loadPatient (own: Own) {
  send('load: 200 as it was stored', 'GET', routes.patient, { ids: ids(own) },
    (_, { body }) => body === own.patient.body)
}

export function loadUnknownPatient () {
  refused('load, unknown: 404', 'GET', routes.patient, { ids: { patientId: unknownId }, expected: 404 })
}

/** Loads a patient and puts the same body. */
export function updatePatient (own: Own) {
  const loaded = send('load before an update: 200 as it was stored', 'GET', routes.patient, { ids: ids(own) },
    (_, { body }) => body === own.patient.body)
  if (!loaded.ok) return
  const { lastUpdated: before, ...details } = loaded.body
  const { answer, ok } = send('update: 200 with the same details and a later time', 'PUT', routes.patient,
    { ids: ids(own), body: loaded.answer.body as string },
    ({ lastUpdated, ...updated }) => same(updated, details) && lastUpdated > before)
  if (ok) own.patient = answer
}

export function searchById (own: Own) {
  const { patientId } = ids(own)
  send('search by id: 200 with this patient alone', 'POST', routes.search, { body: { id: patientId } },
    (_, { body }) => body === `[${own.patient.body}]`)
}

export function searchAll () {
  send('search by {}: 200 with a page', 'POST', routes.search, { body: {} }, (found) =>
    found.length > 0 && found.length <= 100 && found.every(({ id }: { id?: string }) => id))
}

export function createTest ({ newest }: Own) {
  send('create test: 201 with what was sent and an id', 'POST', routes.tests,
    { ids: { patientId: newest }, body: newTest, expected: 201 }, ({ id, patientId, observations }) =>
      typeof id === 'string' && patientId === newest && same(observations, newTest.observations))
}

export function createInvalidTest ({ newest }: Own) {
  refused('create test, invalid: 400 that names the property', 'POST', routes.tests,
    { ids: { patientId: newest }, body: invalidTest, expected: 400 }, '#/observations')
}

export function loadTests (own: Own) {
  const { patientId } = ids(own)
  send('load tests: 200 with those of this patient', 'GET', routes.tests, { ids: { patientId } }, (tests) =>
    tests.length > 0 && tests.every((test: { patientId?: string }) => test.patientId === patientId))
}

export function loadTestsOfUnknownPatient () {
  refused('load tests, unknown patient: 404', 'GET', routes.tests,
    { ids: { patientId: unknownId }, expected: 404 })
}

export function loadTest (own: Own) {
  send('load test: 200 as it was stored', 'GET', routes.test, { ids: ids(own) },
    (_, { body }) => body === own.test.body)
}

export function loadUnknownTest (own: Own) {
  refused('load test, unknown: 404', 'GET', routes.test,
    { ids: { ...ids(own), testId: unknownId }, expected: 404 })
}

/** Creates one patient with two requests and one Idempotency-Key, which the data key protects. */
export function createOnce ({ lastName }: Own) {
  const headers = { 'Idempotency-Key': crypto.randomUUID() }
  const options = { body: newPatient(lastName), headers, expected: 201 }
  const first = call('POST', routes.patients, options)
  send('create again with the same Idempotency-Key: 201 with the same patient', 'POST', routes.patients,
    options, (_, { body }) => body === first.body)
}

/** Loads the next page with a cursor, which the data key encrypts. */
export function nextPage ({ lastName }: Own) {
  const first = send('first page: 200 with one patient', 'POST', routes.search,
    { query: '?limit=1', body: { lastName } }, ({ length }) => length === 1)
  const query = /<[^>?]*(\?[^>]*)>; rel="next"/.exec(first.answer.headers.Link ?? '')?.[1]
  if (!query) return
  send('next page: 200 with another one', 'POST', routes.search, { query, body: { lastName } },
    (found) => found.length === 1 && found[0].id !== first.body[0].id)
}

/** Changes and deletes the patient and its test result, each with If-Match. */
export function changeAndDelete (own: Own) {
  const { patientId, testId } = ids(own)
  const patient = { ids: { patientId } }
  const test = { ids: { patientId, testId } }
  const ifAsStored = ({ headers }: Answer) => ({ 'If-Match': headers.Etag! })

  send('patch: 200 as it was changed', 'PATCH', routes.patient,
    { ...patient, body: { lastName: null, fullName: own.lastName }, headers: ifAsStored(own.patient) },
    (body) => body.fullName === own.lastName && !('lastName' in body))

  const replaced = send('update test: 200 as it was sent', 'PUT', routes.test,
    { ...test, body: { ...newTest, orderReference: 'A-17' }, headers: ifAsStored(own.test) },
    ({ orderReference }) => orderReference === 'A-17')
  const patch = { ...test, body: { performer: null } }
  refused('patch test, changed meanwhile: 412', 'PATCH', routes.test,
    { ...patch, headers: ifAsStored(own.test), expected: 412 })
  send('patch test: 200 as it was changed', 'PATCH', routes.test,
    { ...patch, headers: ifAsStored(replaced.answer) },
    (body) => body.orderReference === 'A-17' && !('performer' in body))

  send('delete test: 204', 'DELETE', routes.test, { ...test, expected: 204 })
  send('delete: 204', 'DELETE', routes.patient, { ...patient, expected: 204 })
  refused('load, deleted: 404', 'GET', routes.patient, { ...patient, expected: 404 })
}
