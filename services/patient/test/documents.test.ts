import { test } from 'tap'
import { ada, observation, patient } from './app.ts'

// The server applies the write, and the connection breaks before the service gets the reply

test('an insert whose reply is lost is done once', async (t) => {
  const { call, network, stored } = await patient(t)
  network.loseReply('insert', 'patients')
  const created = await call('POST', '/patient', ada)
  t.equal(created.statusCode, 201)
  t.ok(network.lost())
  t.same((await stored()).patients.map(({ _id }) => _id), [created.json().id])
})

test('a replacement whose reply is lost is not taken for a conflict', async (t) => {
  const { call, network } = await patient(t)
  const created = await call('POST', '/patient', ada)
  const path = `/patient/${created.json().id}`
  network.loseReply('update', 'patients')
  const condition = { 'if-match': created.headers.etag as string }
  const updated = await call('PUT', path, { ...ada, postCode: 'AAAA' }, condition)
  t.equal(updated.statusCode, 200)
  t.ok(network.lost())
  const loaded = await call('GET', path)
  t.equal(loaded.json().postCode, 'AAAA')
  t.equal(loaded.headers.etag, updated.headers.etag)
})

test('a merge whose reply is lost is not done over', async (t) => {
  const { call, network } = await patient(t)
  const path = `/patient/${(await call('POST', '/patient', ada)).json().id}`
  network.loseReply('update', 'patients')
  const patched = await call('PATCH', path, { lastName: 'King' })
  t.equal(patched.statusCode, 200)
  t.ok(network.lost())
  t.same((await call('GET', path)).json(), patched.json())
  network.loseReply('update', 'patients')
  const condition = { 'if-match': patched.headers.etag as string }
  const again = await call('PATCH', path, { lastName: 'Noel' }, condition)
  t.equal(again.statusCode, 200, 'nor taken for a conflict')
  t.ok(network.lost())
})

test('a deletion whose reply is lost is a success, of a patient and of a test', async (t) => {
  const { call, network, stored } = await patient(t)
  const path = `/patient/${(await call('POST', '/patient', ada)).json().id}`
  const made = await call('POST', `${path}/tests`, { observations: [observation] })
  network.loseReply('delete', 'tests')
  t.equal((await call('DELETE', made.headers.location as string)).statusCode, 204)
  t.ok(network.lost())
  network.loseReply('update', 'patients')
  t.equal((await call('DELETE', path)).statusCode, 204)
  t.ok(network.lost())
  t.same((await stored()).tests, [])
})

test('a claim whose reply is lost is still this request\'s', async (t) => {
  const { call, network, stored } = await patient(t)
  network.loseReply('update', 'claims')
  const created = await call('POST', '/patient', ada, { 'idempotency-key': 'a' })
  t.equal(created.statusCode, 201)
  t.ok(network.lost())
  t.same((await call('POST', '/patient', ada, { 'idempotency-key': 'a' })).json(), created.json())
  t.equal((await stored()).patients.length, 1)
})

test('of two writers with one ETag one wins', async (t) => {
  const { call } = await patient(t)
  let { headers: { etag, location } } = await call('POST', '/patient', ada)
  for (let round = 0; round < 50; round++) {
    const answers = await Promise.all(['AAAA', 'BBBB'].map((postCode) =>
      call('PUT', location as string, { ...ada, postCode }, { 'if-match': etag as string })))
    t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, 412])
    etag = answers.find(({ statusCode }) => statusCode === 200)!.headers.etag
  }
})

test('patches of different properties at once all stand', async (t) => {
  const { call } = await patient(t)
  const { headers: { location } } = await call('POST', '/patient', ada)
  const patches = [
    { lastName: 'King' }, { postCode: 'AAAA' }, { insuranceNumber: 'i' }, { preferredContactNumber: 'p' },
    { fullName: 'f' }
  ]
  const answers = await Promise.all(patches.map((patch) => call('PATCH', location as string, patch)))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  t.match((await call('GET', location as string)).json(), Object.assign({}, ...patches))
})
