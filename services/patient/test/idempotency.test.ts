import { spawnSync } from 'node:child_process'
import { hostname } from 'node:os'
import { test } from 'tap'
import { ada, observation, patient } from './app.ts'

const key = { 'idempotency-key': 'a-key' }

test('eight creates with one key at once store one patient and give one answer', async (t) => {
  const { call, stored, records } = await patient(t)
  const answers = await Promise.all(Array.from({ length: 8 }, () => call('POST', '/patient', ada, key)))
  t.same(answers.map(({ statusCode }) => statusCode), Array(8).fill(201))
  t.equal(new Set(answers.map(({ body, headers }) => body + headers.etag)).size, 1)
  const { patients: [only, ...more], claims } = await stored()
  t.same(more, [])
  t.notMatch(JSON.stringify(claims), /Augusta|Lovelace|a-key/)
  const repeats = (await records())
    .filter(({ attemptOf, outcome }) => attemptOf === only!._audit && outcome === undefined)
  t.equal(repeats.length, 7, 'each repeat is recorded as one of the first attempt')
})

test('the same key with another body is a 409, but not in another path or subscription', async (t) => {
  const { call, stored } = await patient(t)
  const { headers: { location } } = await call('POST', '/patient', ada, key)
  const other = await call('POST', '/patient', { ...ada, postCode: 'AAAA' }, key)
  t.match(other.json(), { status: 409, code: 'IDEMPOTENCY_KEY_REUSED' })
  const actor = { ...key, 'x-audit-actor': 'another' }
  t.equal((await call('POST', '/patient', { ...ada, postCode: 'AAAA' }, actor)).statusCode, 201)
  t.equal((await call('POST', `${location}/tests`, { observations: [observation] }, key)).statusCode, 201)
  t.equal((await stored()).patients.length, 2)
})

test('the order of a body\'s properties does not make another body', async (t) => {
  const { call } = await patient(t)
  const first = await call('POST', '/patient', ada, key)
  const again = await call('POST', '/patient', Object.fromEntries(Object.entries(ada).reverse()), key)
  t.same(again.json(), first.json())
})

test('a repeat gives the first answer though the patient has changed or is gone', async (t) => {
  const { call } = await patient(t)
  const first = await call('POST', '/patient', ada, key)
  await call('PATCH', first.headers.location as string, { postCode: 'AAAA' })
  t.equal((await call('POST', '/patient', ada, key)).body, first.body)
  await call('DELETE', first.headers.location as string)
  const again = await call('POST', '/patient', ada, key)
  t.equal(again.body, first.body)
  t.equal(again.headers.etag, first.headers.etag)
  t.equal((await call('GET', first.headers.location as string)).statusCode, 404)
})

test('a repeat gives the first answer though the patient of the test result is gone', async (t) => {
  const { call } = await patient(t)
  const { headers: { location } } = await call('POST', '/patient', ada)
  const create = () => call('POST', `${location}/tests`, { observations: [observation] }, key)
  const first = await create()
  t.equal(first.statusCode, 201)
  await call('DELETE', location as string)
  t.equal((await create()).body, first.body)
})

test('what a crash left between claim and insert, the repeat completes', async (t) => {
  const { call, db, stored } = await patient(t)
  await call('POST', '/patient', ada, key)
  const { patients: [before] } = await stored()
  await db.collection('patients').deleteMany({})
  const left = { done: false, lastUpdated: new Date(Date.now() - 10_000) }
  await db.collection('claims').updateMany({}, { $set: left })
  const { claims: [claim] } = await stored()
  const again = await call('POST', '/patient', ada, key)
  t.equal(again.statusCode, 201)
  t.match((await stored()).patients, [{ ...before, lastUpdated: claim!.lastUpdated }])
})

test('a repeat waits a little for the first request, and then is a 409 with Retry-After', async (t) => {
  const { call, db } = await patient(t)
  await call('POST', '/patient', ada, key)
  const left = { done: false, lastUpdated: new Date(Date.now() + 60_000) }
  await db.collection('claims').updateMany({}, { $set: left })
  const again = await call('POST', '/patient', ada, key)
  t.match(again.json(), { status: 409, code: 'REQUEST_UNDER_WAY' })
  t.equal(again.headers['retry-after'], '5')
})

test('a claim that another run of this replica left is finished at once', async (t) => {
  const { call, db } = await patient(t)
  const first = await call('POST', '/patient', ada, key)
  const left = { done: false, lastUpdated: new Date(), 'owner.run': 'an earlier one' }
  await db.collection('claims').updateMany({}, { $set: left })
  t.equal((await call('POST', '/patient', ada, key)).statusCode, 201)
  t.equal((await call('GET', first.headers.location as string)).statusCode, 200)
})

test('a claim of another process of this host is finished once that has ended, and not before', async (t) => {
  const { call, db } = await patient(t)
  await call('POST', '/patient', ada, key)
  const { pid: ended } = spawnSync(process.execPath, ['--version'])
  const lastUpdated = new Date(Date.now() + 60_000)
  const left = (pid: number) => ({ done: false, lastUpdated, 'owner.run': 'another', 'owner.pid': pid })
  await db.collection('claims').updateMany({}, { $set: left(process.ppid) })
  t.match((await call('POST', '/patient', ada, key)).json(), { status: 409, code: 'REQUEST_UNDER_WAY' })
  await db.collection('claims').updateMany({}, { $set: left(ended) })
  t.equal((await call('POST', '/patient', ada, key)).statusCode, 201)
})

test('a claim of another container with the same host name and process id is not taken over', async (t) => {
  const { call, db } = await patient(t)
  await call('POST', '/patient', ada, key)
  const owner = { replica: hostname(), run: 'another', pid: process.pid }
  const left = { done: false, lastUpdated: new Date(Date.now() + 60_000), owner }
  await db.collection('claims').updateMany({}, { $set: left })
  t.match((await call('POST', '/patient', ada, key)).json(), { status: 409, code: 'REQUEST_UNDER_WAY' })
})

test('an expired key is free again', async (t) => {
  const { call, db, stored } = await patient(t)
  const first = await call('POST', '/patient', ada, key)
  await db.collection('claims').updateMany({}, { $set: { expires: new Date(Date.now() - 1) } })
  const second = await call('POST', '/patient', { ...ada, postCode: 'AAAA' }, key)
  t.equal(second.statusCode, 201)
  t.not(second.json().id, first.json().id)
  t.equal((await stored()).claims.length, 1)
})

test('a create of a test for an unknown patient leaves no claim', async (t) => {
  const { call, stored } = await patient(t)
  const path = '/patient/00000000-0000-4000-8000-000000000000/tests'
  t.equal((await call('POST', path, { observations: [observation] }, key)).statusCode, 404)
  t.same((await stored()).claims, [])
})

test('a key that is empty, too long or not visible ASCII is a 400', async (t) => {
  const { call } = await patient(t)
  for (const bad of ['', ' ', 'ü', 'a b', 'x'.repeat(256)]) {
    const answer = await call('POST', '/patient', ada, { 'idempotency-key': bad })
    t.match(answer.json(), { code: 'INVALID_IDEMPOTENCY_KEY' }, bad)
  }
})
