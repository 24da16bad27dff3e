import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { holdsNoSecret, isProblem, isUnavailable, newTest, startApi, testLogs } from './api.ts'
import { inTurn, on, type Fate } from './wire.ts'

const api = await startApi({ wired: true })
const patients = api.patientDb.collection<any>('patients')
const tests = api.patientDb.collection<any>('tests')

test('a deleted patient leaves a tombstone without health data, and no test result', async (t) => {
  const { id, path } = await api.create()
  const other = await api.create()
  const results = [await api.createTest(path), await api.createTest(path)]
  const kept = await api.createTest(other.path)
  const deletion = await api.delete(path)
  t.equal(deletion.status, 204)
  const { _id, _shardKey, ...rest } = await patients.findOne({ _id: id })
  t.strictSame(Object.keys(rest).sort(), ['_audit', '_deleted', '_finished'])
  holdsNoSecret(t, JSON.stringify(rest))
  const [record] = await api.recordsOf(deletion)
  t.equal(rest._audit, record!.id)
  t.equal(await tests.countDocuments({ _shardKey: id }), 0)
  for (const { path } of results) isProblem(t, await api.get(path), 404)
  isProblem(t, await api.get(`${path}/tests`), 404, 'PATIENT_NOT_FOUND')
  isProblem(t, await api.post(`${path}/tests`, newTest()), 404, 'PATIENT_NOT_FOUND')
  t.strictSame((await api.get(kept.path)).body, kept.result)
  t.equal((await api.search({})).body.some((patient: { id: string }) => patient.id === id), false)
})

test('nothing of a deleted patient is left in the database', async (t) => {
  const { patient, path } = await api.create()
  const { result } = await api.createTest(path)
  await api.delete(path)
  const dump = await api.dump()
  const { firstName, lastName, fullName, insuranceNumber, preferredContactNumber } = patient
  const { performer, observations: [{ measurement }] } = result
  const values = [
    firstName, lastName, fullName, insuranceNumber, preferredContactNumber, performer, measurement
  ]
  for (const value of values) {
    t.notOk(dump.includes(value))
  }
})

test('a test result that is deleted leaves nothing', async (t) => {
  const { path } = await api.create()
  const { id, path: at } = await api.createTest(path)
  t.equal((await api.delete(at)).status, 204)
  t.equal(await tests.countDocuments({ _id: id }), 0)
})

test('of creates of a test at once with the deletion of its patient nothing stays', async (t) => {
  for (let round = 0; round < 25; round++) {
    const { id, path } = await api.create()
    await api.createTest(path)
    const creates = Array.from({ length: 4 }, async (_, i) => {
      await sleep(i)
      return api.post(`${path}/tests`, newTest(), { 'idempotency-key': i % 2 ? `${id}${i}` : undefined })
    })
    const [deletion, ...answers] = await Promise.all([api.delete(path), ...creates])
    t.equal(deletion.status, 204)
    for (const { status } of answers) t.ok(status === 201 || status === 404, `${status}`)
    t.equal(await tests.countDocuments({ _shardKey: id }), 0)
  }
})

test('a create whose patient is deleted after its insert is a 404 and is taken back', async (t) => {
  const { id, path } = await api.create()
  let deletion
  api.wire.decide(async (command): Promise<Fate> => {
    if (on('insert', 'tests')(command)) {
      api.wire.passAll()
      deletion = await api.delete(path)
    }
    return 'pass'
  })
  const key = { 'idempotency-key': `gone-${id}` }
  const body = newTest()
  isProblem(t, await api.post(`${path}/tests`, body, key), 404, 'PATIENT_NOT_FOUND')
  t.match(deletion, { status: 204 })
  t.equal(await tests.countDocuments({ _shardKey: id }), 0)
  isProblem(t, await api.post(`${path}/tests`, body, key), 404, 'PATIENT_NOT_FOUND')
})

test('a deletion that a crash interrupts is finished at the next start', async (t) => {
  const { id, path } = await api.create()
  for (let i = 0; i < 3; i++) await api.createTest(path)
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { promise: dead, resolve: die } = Promise.withResolvers<void>()
  api.wire.decide(async (command): Promise<Fate> => {
    if (!on('delete', 'tests')(command)) return 'pass'
    reach()
    await dead
    return 'close'
  })
  const deletion = api.delete(path)
  await reached
  t.equal(await tests.countDocuments({ _shardKey: id }), 3)
  isProblem(t, await api.get(path), 404)
  isProblem(t, await api.get(`${path}/tests`), 404)
  const { pid } = api.system.run.patient
  api.system.kill('patient')
  api.wire.passAll()
  die()
  isUnavailable(t, await deletion)
  await api.system.restarted('patient', pid!)
  const giveUp = Date.now() + 10_000
  while (await tests.countDocuments({ _shardKey: id }) > 0 && Date.now() < giveUp) await sleep(50)
  t.equal(await tests.countDocuments({ _shardKey: id }), 0)
  isProblem(t, await api.delete(path), 404)
})

test('a deletion whose answers get lost on the way happens once and is 204', async (t) => {
  const { id, path, etag } = await api.create()
  await api.createTest(path)
  const lostUpdate = inTurn(on('update', 'patients'), 'lose')
  const lostDelete = inTurn(on('delete', 'tests'), 'lose', 'close')
  api.wire.decide(async (command): Promise<Fate> => {
    const fate = await lostUpdate(command)
    return fate === 'pass' ? lostDelete(command) : fate
  })
  const deletion = await api.delete(path, { 'if-match': etag })
  api.wire.passAll()
  t.equal(deletion.status, 204)
  t.equal((await api.recordsOf(deletion)).length, 1)
  t.match(await patients.findOne({ _id: id }), { _deleted: Date })
  t.equal(await tests.countDocuments({ _shardKey: id }), 0)
})

testLogs(api)
