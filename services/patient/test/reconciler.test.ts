import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient, type Document } from 'mongodb'
import t, { type Test } from 'tap'
import { audit } from '../../audit/test/app.ts'
import type { StoredRecord } from '../../common/audit-record.ts'
import { isWirable, startWire, type Fate } from '../../test/contract/wire.ts'
import { ada, observation } from './app.ts'
import { newTrace, patientProcess } from './process.ts'

if (!isWirable(process.env)) {
  t.plan(0, 'no wire can be put before MONGODB_URI')
  process.exit()
}

/** The writes of a request at which the process is killed. */
const COUNTS = process.env.FULL ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] : [1, 4]

/** A process records by itself that a write failed after this time at the earliest, if it was only late. */
const MIN_LATE_MS = 2_000

const wire = await startWire()
const client = await new MongoClient(wire.uri).connect()
const db = client.db(`test-${randomUUID()}`)
t.teardown(async () => {
  await db.dropDatabase()
  await client.close()
  await wire.close()
})
const register = await audit(t)
const common = {
  AUDIT_URL: await register.app.listen({ host: '127.0.0.1', port: 0 }),
  DATABASE_NAME: db.databaseName
}
/** A process whose commands go over the wire, and one that watches it, whose commands do not. */
const wired = (t: Test) => patientProcess(t, { ...common, ...wire.settings })
const watching = (t: Test) => patientProcess(t, { ...common, PATIENT_DB_CONNECTION: wire.uri })
const watcher = await watching(t)

type Process = Awaited<ReturnType<typeof wired>>
type Replica = { _id: string, beats: number }

async function recordsOf (trace: string) {
  const records = (await register.blocks()).flatMap(({ records }) => records)
  return records.filter(({ operationId }) => operationId === trace)
}

const replicas = () => db.collection<Replica>('replicas').find().toArray()
const ids = async () => new Set((await replicas()).map(({ _id }) => _id))

/** Fulfilled with what `find` finds. */
async function until<T> (find: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await find()
    if (found) return found
    await sleep(20)
  }
}

/** Once the process with this id is no longer among those that write. */
const isReconciled = (id: string) => until(async () => !(await replicas()).some(({ _id }) => _id === id))

/**
 * Each attempt has this outcome in the end, in the name of its caller, and no record twice. A process that is
 * so slow that others take it for ended records its successes itself, and failures whose time was over before
 * it was killed. An id that is not among `atEnd`, those when the process was killed, it had left after its
 * successes, which then need no record.
 */
function areFound (t: Test, records: StoredRecord[], outcome: string, atEnd: Set<string>) {
  const attempts = records.filter(({ replica, outcome }) => replica && !outcome)
  t.ok(attempts.length > 0)
  t.equal(new Set(records.map(({ id }) => id)).size, records.length)
  for (const { id, resource, requestId, replica, createdDate } of attempts) {
    const found = records.filter(({ attemptOf }) => attemptOf === id)
    t.ok(found.length > 0 || !atEnd.has(replica!))
    const isSuccess = found.length === 0 || found.some((record) => record.outcome === 'success')
    t.equal(isSuccess ? 'success' : 'failure', outcome)
    for (const record of found) {
      t.match(record, { actor: 'a-system', onBehalfOf: 'dr-1', purpose: 'TREAT', requestId, resource })
      const isTimeOver = record.createdDate.getTime() - createdDate.getTime() >= MIN_LATE_MS
      t.ok(record.reconciled ?? (record.outcome === 'success' || isTimeOver))
    }
  }
}

/** The collection that a command reads or writes, if it is one of these. */
function collectionOf (names: string[], command: Document) {
  const name = names.find((name) => name in command)
  return command.$db === db.databaseName && command[name!] !== 'replicas' && command[name!]
}
const isWrite = (command: Document) => collectionOf(['insert', 'update', 'delete'], command)
const isCommand = (command: Document) => isWrite(command) || collectionOf(['find'], command)

/**
 * Makes requests one after the other, each of which stops at its write number `count`: before the database
 * has it, or after that and before the answer. They go on when `dead` is fulfilled.
 */
function stopAt (count: number, fate: 'close' | 'lose', dead: Promise<void>) {
  let current: { writes: number, isLost: boolean, reach: () => void } | undefined
  wire.decide(async (command): Promise<Fate> => {
    const running = current
    if (!running || !isCommand(command)) return 'pass'
    // After its answer is lost, the process asks again
    if (!running.isLost) {
      if (!isWrite(command) || ++running.writes < count) return 'pass'
      if (fate === 'lose') {
        running.isLost = true
        return 'lose'
      }
    }
    current = undefined
    running.reach()
    await dead
    return 'close'
  })
  return async (request: () => Promise<unknown>) => {
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    current = { writes: 0, isLost: false, reach: resolve }
    await Promise.race([reached, request().catch(() => {})])
    current = undefined
  }
}

interface Case {
  path: string
  body?: object
  method?: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  isDone (): Promise<unknown>
}

const find = (collection: string, filter: object) => db.collection(collection).findOne(filter)

/** Writes, each on patients and test results of its own, with what shows that it is done. */
async function prepare ({ call }: Process): Promise<Record<string, Case>> {
  const create = async (): Promise<string> => (await call('POST', '/patient', { body: ada })).body.id
  const createTest = async (patient: string): Promise<string> =>
    (await call('POST', `/patient/${patient}/tests`, { body: { observations: [observation] } })).body.id
  const [patient, changed, deleted, from, to] = await Promise.all([1, 2, 3, 4, 5].map(create)) as string[]
  const patients = [patient, patient, patient, from] as string[]
  const [test, deletedTest, moved, merged] = await Promise.all(patients.map(createTest))
  const firstName = randomUUID()
  return {
    create: {
      path: '/patient', body: { ...ada, firstName }, isDone: () => find('patients', { firstName })
    },
    patch: {
      method: 'PATCH',
      path: `/patient/${changed}`,
      body: { postCode: 'AB12' },
      isDone: () => find('patients', { _id: changed, postCode: 'AB12' })
    },
    delete: {
      method: 'DELETE',
      path: `/patient/${deleted}`,
      isDone: () => find('patients', { _id: deleted, _deleted: { $exists: true } })
    },
    'create a test': {
      path: `/patient/${changed}/tests`,
      body: { performer: firstName, observations: [observation] },
      isDone: () => find('tests', { performer: firstName })
    },
    'patch a test': {
      method: 'PATCH',
      path: `/patient/${patient}/tests/${test}`,
      body: { performer: 'another' },
      isDone: () => find('tests', { _id: test, performer: 'another' })
    },
    'move a test': {
      path: `/patient/${patient}/tests/${moved}/move`,
      body: { patientId: changed },
      isDone: () => find('tests', { _id: moved, _shardKey: changed, _deleted: { $exists: false } })
    },
    'delete a test': {
      method: 'DELETE',
      path: `/patient/${patient}/tests/${deletedTest}`,
      // Another process cannot tell whether there was one
      isDone: () => find('tests', { _id: deletedTest }).then((left) => !left)
    },
    merge: {
      path: `/patient/${to}/merge`,
      body: { from },
      isDone: () => find('tests', { _id: merged, _shardKey: to, _deleted: { $exists: false } })
    }
  }
}

for (const fate of ['close', 'lose'] as const) {
  for (const count of COUNTS) {
    t.test(`writes that a kill interrupts: ${fate} ${count}`, async (t) => {
      const cases = Object.entries(await prepare(watcher)).map((one) => ({ one, trace: newTrace() }))
      const killed = await wired(t)
      const { promise: dead, resolve: die } = Promise.withResolvers<void>()
      const stop = stopAt(count, fate, dead)
      for (const { one: [, { path, body, method = 'POST' }], trace } of cases) {
        const headers = {
          'x-audit-actor': 'a-system',
          'x-audit-request-id': randomUUID(),
          'x-on-behalf-of': 'dr-1',
          'x-purpose-of-use': 'TREAT'
        }
        await stop(() => killed.call(method, path, { body, headers, trace }))
      }
      killed.signal('SIGSTOP')
      // Nothing more of it reaches the database, such as that it has left its id
      wire.decide(() => 'close')
      const atEnd = await ids()
      await killed.kill()
      die()
      wire.passAll()
      for (const { one: [name, { isDone }], trace } of cases) {
        for (const { replica } of await recordsOf(trace)) if (replica) await isReconciled(replica)
        t.comment(name)
        areFound(t, await recordsOf(trace), await isDone() ? 'success' : 'failure', atEnd)
      }
    })
  }
}

const caller = { 'x-audit-actor': 'a-system', 'x-audit-request-id': randomUUID() }

t.test('a process that is stopped records what it still writes', async (t) => {
  const stopped = await wired(t)
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { promise: isTakenOver, resolve: go } = Promise.withResolvers<void>()
  wire.decide(async (command): Promise<Fate> => {
    if (command.$db !== db.databaseName || command.insert !== 'patients') return 'pass'
    reach()
    await isTakenOver
    return 'pass'
  })
  const [trace, firstName] = [newTrace(), randomUUID()]
  const request = { body: { ...ada, firstName }, headers: caller, trace }
  const answer = stopped.call('POST', '/patient', request)
  await reached
  stopped.signal('SIGSTOP')
  const [attempt, found] = await until(async () => {
    const records = await recordsOf(trace)
    return records.length >= 2 && records
  })
  t.match(found, { outcome: 'failure', reconciled: true, attemptOf: attempt!.id })
  await isReconciled(attempt!.replica!)
  go()
  await until(() => find('patients', { firstName }))
  stopped.signal('SIGCONT')
  const last = await until(async () => (await recordsOf(trace))[2])
  t.match(last, { outcome: 'success', attemptOf: attempt!.id, resource: attempt!.resource })
  t.notOk('reconciled' in last)
  await answer
  const next = await stopped.call('POST', '/patient', { body: ada, headers: caller, trace })
  t.equal(next.status, 201)
  const [, , , later] = await recordsOf(trace)
  t.not(later!.replica, attempt!.replica, 'it writes on under another id')
  wire.passAll()
})

t.test('a write that was applied although it failed is found after its process is killed', async (t) => {
  const killed = await wired(t)
  const [trace, firstName] = [newTrace(), randomUUID()]
  const body = { ...ada, firstName }
  let isLost = false
  wire.decide((command): Fate => {
    if (isLost) return isCommand(command) ? 'close' : 'pass'
    isLost = command.insert === 'patients'
    return isLost ? 'lose' : 'pass'
  })
  t.equal((await killed.call('POST', '/patient', { body, headers: caller, trace })).status, 503)
  const isOwnFailure = ({ outcome, reconciled }: StoredRecord) => outcome === 'failure' && !reconciled
  await until(async () => (await recordsOf(trace)).some(isOwnFailure))
  // Before it looks again
  await killed.kill()
  wire.passAll()
  t.ok(await find('patients', { firstName }))
  const [attempt] = await recordsOf(trace)
  await isReconciled(attempt!.replica!)
  const found = (await recordsOf(trace)).filter(({ reconciled }) => reconciled)
  t.equal(found.length, 1)
  t.match(found[0], { outcome: 'success', attemptOf: attempt!.id })
})

t.test('of several processes that watch, one records each outcome', async (t) => {
  await Promise.all([1, 2].map(() => watching(t)))
  const killed = await wired(t)
  const traces = Array.from({ length: 20 }, newTrace)
  const create = (trace: string) => killed.call('POST', '/patient', { body: ada, headers: caller, trace })
  await Promise.all(traces.map(create))
  for (const trace of traces) t.notOk((await recordsOf(trace)).some(({ reconciled }) => reconciled))
  killed.signal('SIGSTOP')
  const atEnd = await ids()
  await killed.kill()
  for (const trace of traces) await isReconciled((await recordsOf(trace))[0]!.replica!)
  for (const trace of traces) {
    const [attempt, ...outcomes] = await recordsOf(trace)
    const found = outcomes.filter(({ reconciled }) => reconciled)
    t.ok((outcomes.length > 0 || !atEnd.has(attempt!.replica!)) && found.length <= 1)
    for (const record of outcomes) t.match(record, { outcome: 'success', attemptOf: attempt!.id })
  }
})

t.test('attempts are found although the clocks of replicas of the register differ', async (t) => {
  const killed = await wired(t)
  let isAhead = false
  const stepClock = (_: unknown, response: ServerResponse) => {
    if (isAhead) response.setHeader('date', new Date(Date.now() + 17 * 60_000).toUTCString())
  }
  register.app.server.prependListener('request', stepClock)
  t.teardown(() => register.app.server.off('request', stepClock))
  // The response of one replica, a beat after it, and then the record of another
  isAhead = true
  const [first, trace] = [newTrace(), newTrace()]
  await killed.call('POST', '/patient', { body: ada, headers: caller, trace: first })
  const { replica } = (await recordsOf(first))[0]!
  const hasBeaten = async () => (await replicas()).every(({ _id, beats }) => _id !== replica || beats > 0)
  await until(hasBeaten)
  isAhead = false
  await killed.call('POST', '/patient', { body: ada, headers: caller, trace })
  await killed.kill()
  const [attempt] = await recordsOf(trace)
  await isReconciled(attempt!.replica!)
  t.match((await recordsOf(trace))[1], { outcome: 'success', reconciled: true, attemptOf: attempt!.id })
})

t.test('a process writes under one id for a short time, and leaves nothing of the old ones', async (t) => {
  const running = await wired(t)
  const write = async () => {
    const trace = newTrace()
    await running.call('POST', '/patient', { body: ada, headers: caller, trace })
    return (await recordsOf(trace))[0]!.replica!
  }
  const first = await write()
  await until(async () => await write() !== first)
  await isReconciled(first)
  await watching(t)
  const records = (await register.blocks()).flatMap(({ records }) => records)
  const attempts = records.filter(({ replica }) => replica === first).map(({ id }) => id)
  t.notOk(records.some(({ attemptOf }) => attempts.includes(attemptOf!)), 'its successes are not recorded')
})

t.test('an id is not removed while it is being stored', async (t) => {
  const running = await wired(t)
  const create = (trace: string) => running.call('POST', '/patient', { body: ada, headers: caller, trace })
  const trace = newTrace()
  await create(trace)
  const first = (await recordsOf(trace))[0]!.replica!
  // Another process takes it over, which it notices at its next beat
  const { promise: isLost, resolve: lose } = Promise.withResolvers<void>()
  const removed: unknown[] = []
  let isHeld = false
  wire.decide(async (command): Promise<Fate> => {
    if (command.delete === 'replicas') removed.push(command.deletes[0].q._id)
    const [update] = command.update === 'replicas' ? command.updates : []
    if (update?.q._id === first) lose()
    if (update?.upsert && !isHeld) {
      isHeld = true
      // Longer than between two beats
      await sleep(1_500)
    }
    return 'pass'
  })
  await db.collection<Replica>('replicas').updateOne({ _id: first }, { $set: { takenBy: randomUUID() } })
  await isLost
  const others = await until(async () => {
    const trace = newTrace()
    await create(trace)
    const ids = (await recordsOf(trace)).map(({ replica }) => replica!)
    return ids.length > 0 && !ids.includes(first) && ids
  })
  t.ok(isHeld)
  t.notOk(others.some((id) => removed.includes(id)))
  wire.passAll()
})

t.test('a process that runs or ends as it should is left alone', async (t) => {
  const [ended, running] = [await wired(t), await wired(t)]
  const traces = [newTrace(), newTrace()] as const
  await ended.call('POST', '/patient', { body: ada, headers: caller, trace: traces[0] })
  await running.call('POST', '/patient', { body: ada, headers: caller, trace: traces[1] })
  const first = (await recordsOf(traces[0]))[0]!.replica
  await ended.kill('SIGTERM')
  t.notOk((await replicas()).some(({ _id }) => _id === first))
  // By then, a process that had ended before would have been found
  const killed = await wired(t)
  const trace = newTrace()
  await killed.call('POST', '/patient', { body: ada, headers: caller, trace })
  await killed.kill()
  await isReconciled((await recordsOf(trace))[0]!.replica!)
  for (const trace of traces) t.notOk((await recordsOf(trace)).some(({ outcome }) => outcome === 'failure'))
  t.equal((await recordsOf(traces[0])).length, 1)
})

t.test('a process goes on with what it has taken over as soon as it looks again', async (t) => {
  // It alone may take over what the killed one leaves
  await watcher.kill('SIGTERM')
  const only = await wired(t)
  const killed = await patientProcess(t, { ...common, PATIENT_DB_CONNECTION: wire.uri })
  const trace = newTrace()
  await killed.call('POST', '/patient', { body: ada, headers: caller, trace })
  await killed.kill()
  const { replica } = (await recordsOf(trace))[0]!
  // The first that it takes over may be one that an earlier test has left
  const taken: string[] = []
  let looks = 0
  wire.decide((command): Fate => {
    if (command.find === 'replicas' && taken.length === 1) looks++
    const [update] = command.update === 'replicas' ? command.updates : []
    if (update?.u.$set.takenBy) taken.push(update.q._id)
    return 'pass'
  })
  const refuse = ({ url, socket }: IncomingMessage) => {
    if (url === '/audit/attempts' && looks === 0) socket.destroy()
  }
  register.app.server.prependListener('request', refuse)
  t.teardown(() => register.app.server.off('request', refuse))
  await isReconciled(replica!)
  t.equal(looks, 1)
  t.equal(taken[1], taken[0])
  t.match((await recordsOf(trace))[1], { outcome: 'success', reconciled: true })
  t.equal((await only.call('POST', '/patient', { body: ada, headers: caller })).status, 201)
  wire.passAll()
})
