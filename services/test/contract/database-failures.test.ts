import { test } from 'tap'
import { isProblem, isUnavailable, newPatient, secret, testLogs, type Answer } from './api.ts'
import { startFailing } from './failing.ts'

const {
  api, path, requests, needsFailPoints, allAreUnavailable, worksAgain, allIsRecorded
} = await startFailing()
const { system } = api
const patients = api.patientDb.collection<any>('patients')
/** What stores records. */
const insertBlocks = { failCommands: ['insert'], collection: 'blocks' }

test('a record whose connection broke is taken once', needsFailPoints, async (t) => {
  await api.failCommands('audit', { ...insertBlocks, closeConnection: true }, { times: 2 })
  const answer = await api.get(path)
  await api.failNoMore()
  t.equal(answer.status, 200)
  t.equal((await api.recordsOf(answer)).length, 1)
})

test('a throttled write of the register is repeated', needsFailPoints, async (t) => {
  await api.failCommands('audit', { ...insertBlocks, errorCode: 16500 }, { times: 2 })
  const answer = await api.post('/patient', newPatient())
  await api.failNoMore()
  t.equal(answer.status, 201)
  t.equal((await api.recordsOf(answer)).length, 1)
})

interface Write {
  what: string
  command: string
  collection: 'patients' | 'tests'
  status: number
  /** Writes, and returns the answer and whether the write is done. */
  run: () => Promise<{ answer: Answer, isDone: () => Promise<boolean> }>
}

/** Each write, on a patient and a test result of its own, with what it should leave behind. */
const writes: Write[] = [
  {
    what: 'a create',
    command: 'insert',
    collection: 'patients',
    status: 201,
    async run () {
      const body = newPatient()
      const { firstName } = body
      const isDone = async () => await patients.countDocuments({ firstName }) === 1
      return { answer: await api.post('/patient', body), isDone }
    }
  },
  {
    what: 'an update with If-Match',
    command: 'update',
    collection: 'patients',
    status: 200,
    async run () {
      const { path, etag } = await api.create()
      const body = newPatient()
      const isDone = async () => (await api.get(path)).body.firstName === body.firstName
      return { answer: await api.put(path, body, { 'if-match': etag }), isDone }
    }
  },
  {
    what: 'a patch with If-Match',
    command: 'update',
    collection: 'patients',
    status: 200,
    async run () {
      const { path, etag } = await api.create()
      const lastName = secret()
      const isDone = async () => (await api.get(path)).body.lastName === lastName
      return { answer: await api.patch(path, { lastName }, { 'if-match': etag }), isDone }
    }
  },
  {
    what: 'a deletion',
    command: 'update',
    collection: 'patients',
    status: 204,
    async run () {
      const { path } = await api.create()
      await api.createTest(path)
      return { answer: await api.delete(path), isDone: async () => (await api.get(path)).status === 404 }
    }
  },
  {
    what: 'a deletion of a test',
    command: 'delete',
    collection: 'tests',
    status: 204,
    async run () {
      const { path } = await api.create()
      const result = await api.createTest(path)
      const isDone = async () => (await api.get(result.path)).status === 404
      return { answer: await api.delete(result.path, { 'if-match': result.etag }), isDone }
    }
  }
]

for (const { what, command, collection, run, status } of writes) {
  test(`${what} that is throttled, or whose connection breaks, is done once`, needsFailPoints, async (t) => {
    for (const failure of [{ errorCode: 16500 }, { closeConnection: true }]) {
      await api.failCommands('patient', { failCommands: [command], collection, ...failure }, { times: 2 })
      const { answer, isDone } = await run()
      await api.failNoMore()
      t.equal(answer.status, status, answer.text)
      t.ok(await isDone())
      t.equal((await api.recordsOf(answer)).length, 1)
    }
  })

  test(`${what} that the database refuses is a 503 with a record of it`, needsFailPoints, async (t) => {
    await api.failCommands('patient', { failCommands: [command], collection, errorCode: 8000 }, { times: 1 })
    const { answer, isDone } = await run()
    await api.failNoMore()
    isProblem(t, answer, 503, 'DATABASE_UNAVAILABLE')
    t.notOk(await isDone())
    const [attempt, failure, ...more] = await api.recordsOf(answer)
    t.strictSame(more, [])
    t.match(failure, { outcome: 'failure', attemptOf: attempt!.id, resource: attempt!.resource })
  })
}

/** One request of each kind that reads. */
function read () {
  const names = ['a load', 'a search', 'a list of tests', 'a load of a test']
  return Promise.all(names.map((name) => requests[name]!()))
}

test('a database that throttles for good is a 503, after a bounded time', needsFailPoints, async (t) => {
  const before = await api.dump()
  const commands = ['insert', 'update', 'delete', 'find']
  await api.failCommands('patient', { failCommands: commands, errorCode: 16500 })
  await allAreUnavailable(t, 12_000)
  await api.failNoMore()
  t.equal(await api.dump(), before)
  await worksAgain(t)
})

test('a read that is throttled, or whose connection breaks, is repeated', needsFailPoints, async (t) => {
  for (const failure of [{ errorCode: 16500 }, { closeConnection: true }]) {
    await api.failCommands('patient', { failCommands: ['find'], ...failure }, { times: 6 })
    for (const answer of await read()) {
      t.equal(answer.status, 200, answer.text)
      t.equal((await api.recordsOf(answer)).length, 1)
    }
  }
  await api.failNoMore()
})

test('a read that the database refuses is a 503, and recorded as a failure', needsFailPoints, async (t) => {
  await api.failCommands('patient', { failCommands: ['find'], errorCode: 8000 })
  const answers = await read()
  await api.failNoMore()
  for (const answer of answers) {
    isProblem(t, answer, 503, 'DATABASE_UNAVAILABLE')
    const records = await api.recordsOf(answer)
    t.match(records, [{ disclosed: [], outcome: 'failure' }])
  }
})

test('a record that is not acknowledged as durable is not taken as one', needsFailPoints, async (t) => {
  const writeConcernError = {
    code: 64,
    codeName: 'WriteConcernTimeout',
    errmsg: 'waiting for replication timed out',
    errInfo: { wtimeout: true }
  }
  await api.failCommands('audit', { ...insertBlocks, writeConcernError }, { times: 1 })
  const before = await api.dump()
  const first = await api.get(path)
  await api.failNoMore()
  if (first.status !== 200) isUnavailable(t, first)
  t.equal(await api.dump(), before)
  // The register goes on
  for (let i = 0; i < 3; i++) t.equal((await api.get(path)).status, 200)
  t.equal((await api.recordsOf(await api.get(path))).length, 1)
  const next = new Map<string, number>()
  for (const { chain, firstSeq, records } of await api.blocks()) {
    t.equal(firstSeq, next.get(chain) ?? 1)
    next.set(chain, firstSeq + records.length)
  }
  await system.restarted('audit', system.kill('audit'))
})

test('no failure has left a patient or a test result without its record', allIsRecorded)

testLogs(api)
