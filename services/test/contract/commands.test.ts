import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import { test } from 'tap'
import { PatientCriteria } from '../../patient/schemas/criteria.ts'
import {
  inParallel, isProblem, newPatient, newTest, secret, startApi, testLogs, unknownId, type Answer
} from './api.ts'
import { inTurn, on, type Fate } from './wire.ts'

const api = await startApi({ wired: true })
const { wire } = api
const { patient: { database: patientDb }, audit: { database: auditDb } } = api.system.run
const patients = api.patientDb.collection<any>('patients')
const ofPatient = ({ $db }: Document) => $db === patientDb
/** Whether a service sent the command, to one of the two databases. */
const isOurs = ({ $db }: Document) => $db === patientDb || $db === auditDb
const isInsert = (command: Document) => ofPatient(command) && on('insert', 'patients')(command)
const isWrite = (command: Document) => {
  return 'insert' in command || 'update' in command || 'delete' in command || 'findAndModify' in command
}

const collections: Record<string, Record<string, { indexes: string[][] }>> =
  JSON.parse(await readFile(new URL('../../../terraform/collections.json', import.meta.url), 'utf8'))

const SORTS = ['id', 'lastName', 'dateOfBirth', 'lastUpdated'].flatMap((sort) => [sort, `-${sort}`])

test('the indexes are there: none unique, none partial, and each for a sort ends in _id', async (t) => {
  const databases = { patient: api.patientDb, audit: api.auditDb }
  const expected = Object.entries(databases).flatMap(([name, db]) => {
    const inTerraform = Object.entries(collections[name]!)
    return inTerraform
      .filter(([, { indexes }]) => indexes.length > 0)
      .map(([collection, { indexes }]) => ({ db, collection, keys: withoutCosmosOnly(indexes).map(String) }))
  })
  for (const { db, collection, keys } of expected) {
    const list = () => db.collection(collection).indexes().catch((): Document[] => [])
    const giveUp = Date.now() + 10_000
    let found = await list()
    while (found.length <= keys.length && Date.now() < giveUp) {
      await sleep(50)
      found = await list()
    }
    t.strictSame(found.map(({ key }) => Object.keys(key).join()).sort(), ['_id', ...keys].sort(), collection)
    const special = found.filter(({ unique, partialFilterExpression, sparse }) => {
      return unique || partialFilterExpression || sparse
    })
    t.strictSame(special, [])
  }
})

/** Compound indexes of Cosmos DB ignore values in arrays, so that it has an index of the first field too. */
function withoutCosmosOnly (indexes: string[][]) {
  const compound = new Set(indexes.filter(({ length }) => length > 1).map(([first]) => first))
  const isCosmosOnly = ([field, ...more]: string[]) =>
    more.length === 0 && field!.startsWith('records.') && compound.has(field)
  return indexes.filter((fields) => !isCosmosOnly(fields))
}

test('each criterion by each sort, and each next page, is answered from an index', async (t) => {
  await inParallel(60, 16, () => api.create())
  const identifier = { system: 'https://hospital.example.com/mrn', value: secret() }
  const address = { city: secret(), country: 'GB' }
  const more: object = { identifiers: [identifier], addresses: [address], deceased: true, active: true }
  const { patient } = await api.create({ dateOfBirth: '1980-02-03', ...more })
  const details = { ...patient, id: undefined, lastUpdated: undefined } as object
  for (let i = 0; i < 2; i++) await api.create(details)
  const criteria: Required<PatientCriteria> = {
    ...patient,
    ...address,
    match: 'exact',
    firstNamePrefix: patient.firstName.slice(0, 2),
    lastNamePrefix: patient.lastName.slice(0, 2),
    fullNamePrefix: patient.fullName.slice(0, 2),
    dateOfBirthFrom: '1980',
    dateOfBirthTo: '1980-02',
    identifier
  }
  const names = Object.keys(PatientCriteria.properties) as Array<keyof PatientCriteria>
  t.strictSame(names.filter((name) => criteria[name] === undefined), [])
  const searches: object[] = [
    {},
    ...names.map((name) => ({ [name]: criteria[name] })),
    { match: 'exact', lastName: patient.lastName },
    { identifier: { value: identifier.value } },
    { dateOfBirthFrom: '1980-02', dateOfBirthTo: '1980-02-03' },
    { lastName: patient.lastName, gender: patient.gender, dateOfBirthFrom: '1980' }
  ]
  const found = wire.commands.length
  for (const search of searches) {
    for (const sort of SORTS) {
      const page = await api.search(search, `?limit=1&sort=${sort}`)
      t.equal(page.status, 200)
      const [, next] = /^<([^>]+)>/.exec(page.headers.link ?? '') ?? []
      if (next) t.equal((await api.call('POST', next, { body: search })).status, 200)
    }
  }
  const finds = wire.commands.slice(found)
    .filter((command) => ofPatient(command) && command.find === 'patients')
  t.ok(finds.length > searches.length * SORTS.length)
  for (const { find, filter, sort, limit } of finds) {
    const explain = { find, filter, sort, limit }
    const { queryPlanner } = await api.patientDb.command({ explain, verbosity: 'queryPlanner' })
    const plan = JSON.stringify(queryPlanner?.winningPlan)
    const shown = JSON.stringify({ filter: Object.keys(filter), sort })
    t.match(plan, /"(IXSCAN|IDHACK|EXPRESS_IXSCAN|CLUSTERED_IXSCAN)"/, shown)
    t.notMatch(plan, '"COLLSCAN"')
  }
})

test('each sort by several fields has an index of exactly these, here and in Terraform', async (t) => {
  const { path } = await api.create()
  for (let i = 0; i < 3; i++) await api.createTest(path)
  for (const sort of ['id', '-id', 'lastUpdated', '-lastUpdated']) {
    const page = await api.get(`${path}/tests?limit=1&sort=${sort}`)
    const [, next] = /^<([^>]+)>/.exec(page.headers.link ?? '') ?? []
    t.equal((await api.get(next!)).status, 200)
  }
  const finds = wire.commands.filter(isOurs).filter(({ find, sort }) => find && sort)
  const sorts = finds.filter(({ sort }) => Object.keys(sort).length > 1)
  for (const collection of ['patients', 'tests']) {
    t.ok(sorts.some(({ find }) => find === collection), collection)
  }
  for (const { $db, find, sort } of sorts) {
    const db = $db === patientDb ? api.patientDb : api.auditDb
    const names = Object.keys(sort).join()
    const directions = Object.values(sort)
    // An index is read in both directions
    const found = (await db.collection(find).indexes()).find(({ key }) => Object.keys(key).join() === names)
    t.ok(found, `${find}: ${names}`)
    const sameWay = Object.values(found!.key).every((direction, i) => direction === directions[i])
    const otherWay = Object.values(found!.key).every((direction, i) => direction === -directions[i]!)
    t.ok(sameWay || otherWay, `${find}: ${names}`)
    const { indexes } = collections[$db === patientDb ? 'patient' : 'audit']![find]!
    t.ok(indexes.some((fields) => fields.join() === names), `${find}: ${names} in Terraform`)
  }
})

const REQUEST_RATE = { ok: 0, code: 16500, codeName: 'RequestRateTooLarge' } as const
const throttled = (ms: number) => ({
  ...REQUEST_RATE,
  errmsg: `Error=16500, RetryAfterMs=${ms}, ` +
    "Details='Response status code does not indicate success: TooManyRequests (429)'"
})
const throttledWrite = (ms: number) => {
  const writeErrors = [{ index: 0, code: 16500, errmsg: `Error=16500, RetryAfterMs=${ms}, Details=''` }]
  return { ok: 1, n: 0, writeErrors } as const
}

test('a throttled write is repeated no earlier than RetryAfterMs says, and done once', async (t) => {
  for (const answer of [throttled(300), throttledWrite(300)]) {
    const sent: number[] = []
    const fates = inTurn(isInsert, answer, answer)
    wire.decide((command) => {
      if (isInsert(command)) sent.push(performance.now())
      return fates(command)
    })
    const body = newPatient()
    const created = await api.post('/patient', body)
    wire.passAll()
    t.equal(created.status, 201, created.text)
    t.equal(sent.length, 3)
    const waits = sent.slice(1).map((ms, i) => ms - sent[i]!)
    t.ok(waits.every((ms) => ms >= 295), `${waits} ms`)
    t.equal(await patients.countDocuments({ firstName: body.firstName }), 1)
    t.equal((await api.recordsOf(created)).length, 1)
  }
})

test('a throttled record is taken once', async (t) => {
  const isRecord = (command: Document) => command.$db === auditDb && 'insert' in command
  wire.decide(inTurn(isRecord, throttledWrite(50), throttled(50)))
  const { path } = await api.create()
  const answer = await api.get(path)
  wire.passAll()
  t.equal(answer.status, 200)
  t.equal((await api.recordsOf(answer)).length, 1)
})

test('one that is to wait longer than it may is a 503 soon, with the record of its failure', async (t) => {
  const body = newPatient()
  wire.decide((command) => isInsert(command) ? throttled(60_000) : 'pass')
  const began = performance.now()
  const answer = await api.post('/patient', body)
  wire.passAll()
  t.ok(performance.now() - began < 10_000)
  isProblem(t, answer, 503, 'DATABASE_UNAVAILABLE')
  const [attempt, failure] = await api.recordsOf(answer)
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id })
  t.equal(await patients.countDocuments({ firstName: body.firstName }), 0)
})

interface Write {
  write: () => Promise<Answer>
  status: number
  check: (answer: Answer) => Promise<unknown>
}

/** Whether exactly one patient has the first name of `details`. */
async function isStoredOnce ({ firstName }: { firstName: string }) {
  return await patients.countDocuments({ firstName }) === 1
}

/** Whether `path` has what the write answered. */
const has = (path: string) => async ({ text }: Answer) => (await api.get(path)).text === text
const isGone = (path: string) => async () => (await api.get(path)).status === 404

/** Each write, once what it is to work on is there, with what has to hold afterwards. */
const writes: Record<string, () => Promise<Write>> = {
  async 'a create' () {
    const body = newPatient()
    return {
      write: () => api.post('/patient', body),
      status: 201,
      check: async (answer) => await has(answer.headers.location!)(answer) && await isStoredOnce(body)
    }
  },
  async 'a create with a key' () {
    const body = newPatient()
    const key = { 'idempotency-key': secret() }
    const write = () => api.post('/patient', body, key)
    return {
      write,
      status: 201,
      check: async ({ text }) => (await write()).text === text && await isStoredOnce(body)
    }
  },
  async 'an update with If-Match' () {
    const { path, etag } = await api.create()
    return { write: () => api.put(path, newPatient(), { 'if-match': etag }), status: 200, check: has(path) }
  },
  async 'a patch with If-Match' () {
    const { path, etag } = await api.create()
    const patch = { lastName: secret() }
    return { write: () => api.patch(path, patch, { 'if-match': etag }), status: 200, check: has(path) }
  },
  async 'a deletion with If-Match' () {
    const { path, etag } = await api.create()
    return { write: () => api.delete(path, { 'if-match': etag }), status: 204, check: isGone(path) }
  },
  async 'a create of a test' () {
    const { path } = await api.create()
    return {
      write: () => api.post(`${path}/tests`, newTest()),
      status: 201,
      check: async ({ text }) => (await api.get(`${path}/tests`)).text === `[${text}]`
    }
  },
  async 'an update of a test with If-Match' () {
    const { path } = await api.create()
    const { path: test, etag } = await api.createTest(path)
    return { write: () => api.put(test, newTest(), { 'if-match': etag }), status: 200, check: has(test) }
  },
  async 'a patch of a test with If-Match' () {
    const { path } = await api.create()
    const { path: test, etag } = await api.createTest(path)
    return { write: () => api.patch(test, newTest(), { 'if-match': etag }), status: 200, check: has(test) }
  },
  async 'a deletion of a test with If-Match' () {
    const { path } = await api.create()
    const { path: test, etag } = await api.createTest(path)
    return { write: () => api.delete(test, { 'if-match': etag }), status: 204, check: isGone(test) }
  }
}

test('a write whose connection breaks before it is acknowledged happens once, with its answer', async (t) => {
  for (const [what, prepare] of Object.entries(writes)) {
    const { write, status, check } = await prepare()
    const met = new Set<string>()
    wire.decide((command) => {
      if (!ofPatient(command) || !isWrite(command)) return 'pass'
      const id = (command.documents?.[0] ?? command.updates?.[0].q ?? command.deletes?.[0].q)._id
      if (id === undefined || met.has(id)) return 'pass'
      met.add(id)
      return 'lose'
    })
    const answer = await write()
    wire.passAll()
    t.ok(met.size > 0, what)
    t.equal(answer.status, status, `${what}: ${answer.text}`)
    t.ok(await check(answer), what)
    t.equal((await api.recordsOf(answer)).length, 1, what)
  }
})

test('a record whose connection breaks is taken once, and leaves no gap', async (t) => {
  const { path } = await api.create()
  for (const fates of [['close'], ['lose', 'lose']] as const) {
    wire.decide(inTurn((command) => command.$db === auditDb && 'insert' in command, ...fates))
    const answer = await api.get(path)
    wire.passAll()
    t.equal(answer.status, 200)
    t.equal((await api.recordsOf(answer)).length, 1)
  }
  const next = new Map<string, number>()
  for (const { chain, firstSeq, records } of await api.blocks()) {
    t.equal(firstSeq, next.get(chain) ?? 1)
    next.set(chain, firstSeq + records.length)
  }
})

test('no write is sent before its record is stored', async (t) => {
  const { path } = await api.create()
  const { path: test } = await api.createTest(path)
  const requests = [
    () => api.post('/patient', newPatient()),
    () => api.post('/patient', newPatient(), { 'idempotency-key': secret() }),
    () => api.put(path, newPatient()),
    () => api.patch(path, {}),
    () => api.post(`${path}/tests`, newTest()),
    () => api.put(test, newTest()),
    () => api.patch(test, {}),
    () => api.delete(test),
    () => api.delete(path)
  ]
  for (const request of requests) {
    const standing: Array<Promise<boolean>> = []
    wire.decide(async (command): Promise<Fate> => {
      if (ofPatient(command) && isWrite(command)) {
        const { _audit, audit } = command.documents?.[0] ?? command.updates?.[0].u ?? {}
        const record = _audit ?? audit
        const isThere = api.records({ 'records.id': record })
          .then((records) => record === undefined || records.some(({ id }) => id === record))
        standing.push(isThere)
        await isThere
      }
      return 'pass'
    })
    const answer = await request()
    wire.passAll()
    t.ok(answer.status < 300, answer.text)
    t.ok(standing.length > 0)
    t.notOk((await Promise.all(standing)).includes(false))
  }
})

test('no answer leaves before its record stands', async (t) => {
  const { path } = await api.create()
  await api.createTest(path)
  const requests = [
    () => api.get(path),
    () => api.get(`/patient/${unknownId()}`),
    () => api.search({}, '?limit=1'),
    () => api.get(`${path}/tests`)
  ]
  for (const request of requests) {
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    wire.decide(async (command): Promise<Fate> => {
      if (command.$db !== auditDb || !('insert' in command)) return 'pass'
      reach()
      await released
      return 'pass'
    })
    let answered = false
    const answer = request().then((answer) => {
      answered = true
      return answer
    })
    await reached
    await sleep(100)
    t.equal(answered, false)
    release()
    t.ok((await answer).status < 500)
    wire.passAll()
  }
})

test('every document has a _shardKey, and every filter on one document includes it', async (t) => {
  await api.get(`/patient/${unknownId()}`)
  const commands = wire.commands.filter(isOurs)
  const documents = commands.flatMap(({ documents = [], updates = [] }) => {
    const sent = updates.map(({ u }: Document) => u)
    return [...documents, ...sent.filter((u: Document) => !Object.keys(u)[0]?.startsWith('$'))]
  })
  t.ok(documents.length > 100)
  t.strictSame(documents.filter(({ _shardKey }) => typeof _shardKey !== 'string'), [])

  const isId = (id: unknown) => id !== undefined && typeof id !== 'object'
  const ofOne = ({ limit, q }: Document) => limit === 1 || isId(q._id)
  const filters = commands.flatMap((command): Document[] => {
    const { updates = [], deletes = [], find, filter, limit, singleBatch, sort, findAndModify } = command
    return [
      ...updates.filter(({ multi }: Document) => !multi).map(({ q }: Document) => q),
      ...deletes.filter(ofOne).map(({ q }: Document) => q),
      // The first one in an order may be anywhere
      ...find && ((limit === 1 && singleBatch && !sort) || isId(filter._id)) ? [filter] : [],
      ...findAndModify ? [command.query] : []
    ]
  })
  t.ok(filters.length > 50)
  const withoutKey = filters.filter(({ _shardKey, $and = [] }) => {
    return typeof _shardKey !== 'string' && !$and.some((part: Document) => '_shardKey' in part)
  })
  t.strictSame(withoutKey.map((filter) => Object.keys(filter)), [])
})

test('every write asks a majority for its journal, and none is the driver\'s to repeat', async (t) => {
  const commands = wire.commands.filter((command) => isOurs(command) && isWrite(command))
  t.ok(commands.length > 100)
  const isSafe = ({ writeConcern }: Document) => writeConcern?.w === 'majority' && writeConcern.j === true
  t.strictSame(commands.filter((command) => !isSafe(command)), [])
  t.strictSame(commands.filter((command) => 'txnNumber' in command), [])
})

test('only what every server of the dialect has is asked for', async (t) => {
  const names = new Set(wire.commands.filter(isOurs).map((command) => Object.keys(command)[0]))
  const known = [
    'ping', 'createIndexes', 'find', 'getMore', 'killCursors', 'insert', 'update', 'delete', 'count',
    'aggregate'
  ]
  t.strictSame([...names].filter((name) => !known.includes(name!)), [])
})

testLogs(api)
