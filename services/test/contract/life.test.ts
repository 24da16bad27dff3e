import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import { test } from 'tap'
import { isProblem, isUnavailable, newObservation, startApi, testLogs, type Answer } from './api.ts'
import type { Fate } from './wire.ts'

const api = await startApi({ wired: true })
const { patient: { database: patientDb } } = api.system.run
const collection = (name: string) => api.patientDb.collection<any>(name)

/** Between which writes processes are killed: the unit tests interrupt between any two commands. */
const STEP = process.env.FULL ? 2 : 5

/** The writes of the patient service, without those of indexes and its heartbeat. */
const isWrite = ({ $db, insert, update, delete: removal }: Document) =>
  $db === patientDb && Boolean(insert ?? update ?? removal) && update !== 'replicas'

/**
 * Kills the patient service when it sends its write number `count` of `request`, which the database does not
 * get. False if the request needs fewer writes. Returns once the next process has finished the work.
 */
async function killAt (count: number, request: () => Promise<Answer>) {
  const { promise: reached, resolve: reach } = Promise.withResolvers<true>()
  const { promise: dead, resolve: die } = Promise.withResolvers<void>()
  let writes = 0
  api.wire.decide(async (command): Promise<Fate> => {
    if (!isWrite(command) || ++writes < count) return 'pass'
    reach(true)
    await dead
    return 'close'
  })
  const answering = request()
  const answered = answering.then(() => false)
  if (!await Promise.race([reached, answered])) {
    api.wire.passAll()
    return false
  }
  const { pid } = api.system.run.patient
  api.system.kill('patient')
  api.wire.passAll()
  die()
  await answering
  await api.system.restarted('patient', pid!)
  for (const giveUp = Date.now() + 30_000; Date.now() < giveUp; await sleep(50)) {
    if (await collection('transfers').countDocuments({ open: true }) === 0) return true
  }
  throw new Error('not finished after the restart')
}

const createTest = (path: string) =>
  api.createTest(path, { observations: [{ ...newObservation(), status: 'final' }] })

/** A patient with a test result that was changed once, and another patient. */
async function prepare () {
  const [from, to] = [await api.create(), await api.create()]
  const { id, path } = await createTest(from.path)
  const changed = await api.patch(path, { orderReference: null })
  return { from, to, id, path, newPath: `${to.path}/tests/${id}`, result: changed.body }
}

test('a move that is killed at any write is finished at the next start, or was not begun', async (t) => {
  for (let count = 1; ; count += STEP) {
    const { to, from, id, path, newPath, result } = await prepare()
    const wasKilled = await killAt(count, () => api.post(`${path}/move`, { patientId: to.id }))
    const answers = [await api.get(path), await api.get(newPath)]
    const found = answers.filter(({ status }) => status === 200)
    t.equal(found.length, 1, `write ${count}`)
    const { patientId, lastUpdated, ...rest } = found[0]!.body
    t.match(result, rest)
    const isMoved = patientId === to.id
    const { body: versions } = await api.get(`${isMoved ? newPath : path}/versions`)
    t.equal(versions.length, isMoved ? 2 : 1)
    t.equal(await collection('tests').countDocuments({ _id: id }), 1)
    t.equal(await collection('versions').countDocuments({ of: id }), isMoved ? 2 : 1)

    const repeated = await api.post(`${path}/move`, { patientId: to.id })
    t.equal(repeated.status, 200, repeated.text)
    t.equal((await api.get(newPath)).status, 200)
    const records = await api.recordsOf(repeated)
    const ids = records.map(({ resource }) => resource.patientId)
    t.strictSame(ids.sort(), [from.id, to.id].sort())
    if (!wasKilled) break
  }
})

test('a merge that is killed at any write is finished at the next start, or was not begun', async (t) => {
  for (let count = 1; ; count += STEP) {
    const { to, from, id, newPath } = await prepare()
    const second = await createTest(from.path)
    const wasKilled = await killAt(count, () => api.post(`${to.path}/merge`, { from: from.id }))
    const source = await api.get(from.path)
    const isMerged = source.status === 404
    if (isMerged) t.equal(source.body.replacedBy, to.id)
    const { body: tests } = await api.get(`${isMerged ? to.path : from.path}/tests`)
    const ids = tests.map((test: { id: string }) => test.id)
    t.strictSame(ids.sort(), [id, second.id].sort(), `write ${count}`)
    t.equal(await collection('tests').countDocuments({ _id: { $in: [id, second.id] } }), 2)
    if (isMerged) t.equal((await api.get(`${newPath}/versions`)).body.length, 2)

    const repeated = await api.post(`${to.path}/merge`, { from: from.id })
    t.equal(repeated.status, 200, repeated.text)
    const values = repeated.body.identifiers.map(({ value }: { value: string }) => value)
    t.strictSame(values, [from.patient.insuranceNumber])
    if (!wasKilled) break
  }
})

test('what was killed has its records before the database has its changes', async (t) => {
  const { to, path } = await prepare()
  api.wire.decide((command): Fate => command.insert === 'blocks' ? 'close' : 'pass')
  const before = await collection('tests').find({ _shardKey: to.id }).toArray()
  const refused = await api.post(`${path}/move`, { patientId: to.id })
  api.wire.passAll()
  isUnavailable(t, refused)
  t.strictSame(await collection('tests').find({ _shardKey: to.id }).toArray(), before)
  t.equal((await api.get(path)).status, 200)
  isProblem(t, await api.get(`${to.path}/tests/${path.split('/').at(-1)}`), 404, 'TEST_NOT_FOUND')
})

testLogs(api)
