import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import { test } from 'tap'
import { Pool } from 'undici'
import {
  holdsNoSecret, isProblem, isUnavailable, newPatient, newTest, secret, startApi, testLogs
} from './api.ts'
import { on, type Fate } from './wire.ts'

const api = await startApi({ wired: true })
const patients = api.patientDb.collection<any>('patients')
const claims = api.patientDb.collection<any>('claims')
const isInsert = on('insert', 'patients')
const unique = () => ({ 'idempotency-key': randomUUID() })

test('the same key with the same body gives the first answer again and stores nothing twice', async (t) => {
  const key = unique()
  const body = newPatient()
  const first = await api.post('/patient', body, key)
  t.equal(first.status, 201)
  await sleep(5)
  for (let i = 0; i < 3; i++) {
    const again = await api.post('/patient', body, key)
    t.equal(again.status, 201)
    t.strictSame(again.body, first.body)
    t.equal(again.headers.location, first.headers.location)
    t.equal(again.headers.etag, first.headers.etag)
  }
  t.equal(await patients.countDocuments({ firstName: body.firstName }), 1)
})

test('8 creates at once with one key store one patient', async (t) => {
  for (let round = 0; round < 10; round++) {
    const key = unique()
    const body = newPatient()
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.post('/patient', body, key)))
    t.strictSame(answers.map(({ status }) => status), Array(8).fill(201))
    t.equal(new Set(answers.map(({ text }) => text)).size, 1)
    t.equal(await patients.countDocuments({ firstName: body.firstName }), 1)
  }
})

test('another body is a 409, also while the first is under way', async (t) => {
  const key = unique()
  const body = newPatient()
  const bodies = [body, newPatient(), newPatient(), newPatient()]
  const answers = await Promise.all(bodies.map((body) => api.post('/patient', body, key)))
  t.strictSame(answers.map(({ status }) => status).sort(), [201, 409, 409, 409])
  const others = [newPatient(), {}].map((changes) => ({ ...body, lastName: secret(), ...changes }))
  const [first] = answers.filter(({ status }) => status === 201)
  const { id, lastUpdated, ...stored } = first!.body
  for (const other of [...others, { ...stored, lastName: undefined }]) {
    isProblem(t, await api.post('/patient', other, key), 409, 'IDEMPOTENCY_KEY_REUSED')
  }
  t.strictSame((await api.post('/patient', stored, key)).body, first!.body)
})

test('a key counts for its path alone', async (t) => {
  const key = unique()
  const [one, two] = [await api.create(), await api.create()]
  t.equal((await api.post('/patient', newPatient(), key)).status, 201)
  const body = newTest()
  const first = await api.post(`${one.path}/tests`, body, key)
  const other = await api.post(`${two.path}/tests`, body, key)
  t.strictSame([first.status, other.status], [201, 201])
  t.not(first.body.id, other.body.id)
  t.strictSame((await api.post(`/patient/${one.id.toUpperCase()}/tests/`, body, key)).body, first.body)
  t.equal((await api.get(`${one.path}/tests`)).body.length, 1)
  isProblem(t, await api.post(`${one.path}/tests`, newTest(), key), 409, 'IDEMPOTENCY_KEY_REUSED')
})

test('a key counts for its subscription alone', async (t) => {
  const { run, keys } = api.system
  const pool = new Pool(run.patient.url)
  t.teardown(() => pool.destroy())
  const key = randomUUID()
  const body = JSON.stringify(newPatient())
  const create = async (actor: string) => {
    const identity = { 'x-functions-key': keys['patient-host-key'], 'x-audit-actor': actor }
    const headers = { ...identity, 'idempotency-key': key }
    const answer = await pool.request({ method: 'POST', path: '/patient', body, headers })
    return { status: answer.statusCode, body: await answer.body.json() as { id: string } }
  }
  const answers = [await create('one'), await create('two'), await create('one')]
  t.strictSame(answers.map(({ status }) => status), [201, 201, 201])
  t.not(answers[0]!.body.id, answers[1]!.body.id)
  t.strictSame(answers[2], answers[0])
})

test('a key that cannot be one is a 400', async (t) => {
  for (const key of ['', ' ', 'x'.repeat(256), 'a b', 'é']) {
    const answer = await api.post('/patient', newPatient(), { 'idempotency-key': key })
    isProblem(t, answer, 400, 'INVALID_IDEMPOTENCY_KEY')
  }
  t.equal((await api.post('/patient', newPatient(), { 'idempotency-key': 'x'.repeat(255) })).status, 201)
})

test('an answer that was an error is none to be repeated', async (t) => {
  const key = unique()
  isProblem(t, await api.post('/patient', newPatient({ gender: 'm' }), key), 400)
  t.equal((await api.post('/patient', newPatient(), key)).status, 201)
})

test('while the first is under way, the second waits a little, then gets 409 with Retry-After', async (t) => {
  const key = unique()
  const body = newPatient()
  const { promise: inserting, resolve: begin } = Promise.withResolvers<void>()
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  api.wire.decide(async (command): Promise<Fate> => {
    if (!isInsert(command)) return 'pass'
    begin()
    await released
    return 'pass'
  })
  const first = api.post('/patient', body, key)
  await inserting
  const began = performance.now()
  const second = await api.post('/patient', body, key)
  const waited = performance.now() - began
  release()
  api.wire.passAll()
  isProblem(t, second, 409, 'REQUEST_UNDER_WAY')
  t.match(second.headers['retry-after'], /^[1-9]\d*$/)
  t.ok(waited > 200, `waited ${waited} ms`)
  t.equal((await first).status, 201)
  const third = await api.post('/patient', body, key)
  t.strictSame(third.body, (await first).body)
  t.equal(await patients.countDocuments({ firstName: body.firstName }), 1)
})

test('one that waits gets the first answer as soon as it is there', async (t) => {
  const key = unique()
  const body = newPatient()
  const { promise: inserting, resolve: begin } = Promise.withResolvers<void>()
  api.wire.decide(async (command): Promise<Fate> => {
    if (!isInsert(command)) return 'pass'
    begin()
    await sleep(300)
    return 'pass'
  })
  const first = api.post('/patient', body, key)
  await inserting
  const second = await api.post('/patient', body, key)
  api.wire.passAll()
  t.equal(second.status, 201)
  t.strictSame(second.body, (await first).body)
})

for (const [moment, stored] of [['before', 0], ['after', 1]] as const) {
  test(`after a crash ${moment} the insert of a claim, the repeat completes it and stores one`, async (t) => {
    const key = unique()
    const body = newPatient()
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
    const { promise: dead, resolve: die } = Promise.withResolvers<void>()
    const isFinish = ({ update, updates }: Document) => update === 'claims' && updates?.[0].u.$set?.done
    api.wire.decide(async (command): Promise<Fate> => {
      const crashes = stored === 0 ? isInsert(command) : isFinish(command)
      if (!crashes) return 'pass'
      reach()
      await dead
      return 'close'
    })
    const first = api.post('/patient', body, key)
    await reached
    const [claim] = await claims.find({ done: false }).toArray()
    t.ok(claim)
    t.equal(await patients.countDocuments({ firstName: body.firstName }), stored)
    const { pid } = api.system.run.patient
    api.system.kill('patient')
    die()
    isUnavailable(t, await first)
    await api.system.restarted('patient', pid!)
    api.wire.passAll()

    isProblem(t, await api.post('/patient', newPatient(), key), 409, 'IDEMPOTENCY_KEY_REUSED')
    const answers = await Promise.all(Array.from({ length: 4 }, () => api.post('/patient', body, key)))
    t.strictSame(answers.map(({ status }) => status), [201, 201, 201, 201])
    t.equal(new Set(answers.map(({ text }) => text)).size, 1)
    const lastUpdated = claim.lastUpdated.toISOString()
    t.match(answers[0]!.body, { ...body, id: claim._id ? claim.id : '', lastUpdated })
    t.equal(await patients.countDocuments({ firstName: body.firstName }), 1)
    t.strictSame((await api.get(`/patient/${claim.id}`)).body, answers[0]!.body)
  })
}

test('replays are audited, and a refused one as a failure', async (t) => {
  const key = unique()
  const body = newPatient()
  const first = await api.post('/patient', body, key)
  const replay = await api.post('/patient', body, key)
  const refused = await api.post('/patient', newPatient(), key)
  t.equal(refused.status, 409)
  const { id } = first.body
  const [original] = await api.recordsOf(first)
  const [record, ...more] = await api.recordsOf(replay)
  t.match(record, { resource: { type: 'patient', id, operation: 'create' }, actor: 'local-client' })
  t.not(record!.id, original!.id)
  t.strictSame(more, [])
  const records = await api.recordsOf(refused)
  t.equal(records.at(-1)!.outcome, 'failure')
  t.equal(records.at(-1)!.attemptOf, records.at(-2)!.id)
  t.equal((await patients.findOne({ _id: id }))._audit, original!.id)
})

test('the answer is the first one even after the patient has changed or gone', async (t) => {
  const key = unique()
  const body = newPatient()
  const first = await api.post('/patient', body, key)
  await api.put(first.headers.location!, newPatient())
  t.strictSame((await api.post('/patient', body, key)).body, first.body)
  await api.delete(first.headers.location!)
  t.strictSame((await api.post('/patient', body, key)).body, first.body)
  isProblem(t, await api.get(first.headers.location!), 404)
})

test('a key is free again after 24 hours', async (t) => {
  const key = unique()
  const body = newPatient()
  const first = await api.post('/patient', body, key)
  const claim = await claims.findOne({ id: first.body.id })
  const hours = (claim.expires - claim.lastUpdated) / 3_600_000
  t.equal(hours, 24)
  const { _id, _shardKey } = claim
  await claims.updateOne({ _id, _shardKey }, { $set: { expires: new Date(Date.now() - 1) } })
  const second = await api.post('/patient', body, key)
  t.equal(second.status, 201)
  t.not(second.body.id, first.body.id)
  const answers = await Promise.all(Array.from({ length: 4 }, () => api.post('/patient', body, key)))
  for (const answer of answers) t.strictSame(answer.body, second.body)
})

test('of 8 at once on an expired key one creates', async (t) => {
  const key = unique()
  const body = newPatient()
  const first = await api.post('/patient', body, key)
  await claims.updateOne({ id: first.body.id }, { $set: { expires: new Date(Date.now() - 1) } })
  const answers = await Promise.all(Array.from({ length: 8 }, () => api.post('/patient', body, key)))
  t.equal(new Set(answers.map(({ text }) => text)).size, 1)
  t.equal(answers[0]!.status, 201)
  t.equal(await patients.countDocuments({ firstName: body.firstName }), 2)
})

test('claims hold HMACs and ids, and no health data', async (t) => {
  const sent = 'a-key-that-tells-something'
  t.equal((await api.post('/patient', newPatient(), { 'idempotency-key': sent })).status, 201)
  const all = await claims.find().toArray()
  const names = ['_id', '_shardKey', 'audit', 'body', 'done', 'expires', 'lastUpdated', 'owner']
  t.ok(all.length > 20)
  for (const { id, ...claim } of all) {
    const text = JSON.stringify(claim)
    holdsNoSecret(t, text)
    t.notMatch(text, sent)
    t.match(claim, { _id: /^[\w-]{43}$/, _shardKey: claim._id, body: /^[\w-]{43}$/ })
    t.strictSame(Object.keys(claim).sort(), names)
  }
})

testLogs(api)
