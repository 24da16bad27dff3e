import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import type { StoredRecord } from '../../common/audit-record.ts'
import type { Block } from '../register.ts'
import { audit, queryKey, record, hostKey } from './app.ts'

const START = Date.parse('2026-03-01T00:00:00Z')
const at = (ms: number) => new Date(START + ms)
const range = 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z'

/** Records at given times, in ms after `START`. */
function stored (ms: number, more: Partial<StoredRecord> = {}): StoredRecord {
  return {
    id: randomUUID(),
    seq: 1,
    createdDate: at(ms),
    operationId: '0af7651916cd43dd8448eb211c80319c',
    sourceSystemName: 'patient',
    resource: { type: 'patient', id: 'an-id', operation: 'load' },
    ...more
  }
}

type Service = Awaited<ReturnType<typeof audit>>

/** Stores blocks with these records, each in a chain of its own. */
async function store ({ db }: Service, ...blocks: StoredRecord[][]) {
  await db.collection<Block>('blocks').insertMany(blocks.map((records) => {
    const chain = randomUUID()
    const dates = records.map(({ createdDate }) => createdDate.getTime())
    const span = { from: new Date(Math.min(...dates)), to: new Date(Math.max(...dates)) }
    return { _id: `${chain}:1`, _shardKey: chain, chain, firstSeq: 1, ...span, records }
  }))
}

/** The ids of all pages from `url` on. */
async function walk ({ get }: Service, url: string) {
  const ids: string[] = []
  let pages = 0
  for (let next: string | undefined = url; next; pages++) {
    const answer = await get(next)
    if (answer.statusCode !== 200) throw new Error(answer.body)
    ids.push(...answer.json().map(({ id }: { id: string }) => id))
    next = /<(.*)>; rel="next"/.exec(String(answer.headers.link ?? ''))?.[1]
  }
  return { ids, pages }
}

test('records come by date and id, newest first, although their blocks overlap', async (t) => {
  const service = await audit(t)
  // Blocks of three replicas whose dates interleave, one of them with a record from long before the others
  const records = Array.from({ length: 60 }, (_, i) => stored(1_000 + Math.floor(i / 2) * 7))
  const blocks = [0, 1, 2].flatMap((replica) => {
    const own = records.filter((_, i) => i % 3 === replica)
    return [own.slice(0, 7), own.slice(7, 9), own.slice(9)]
  })
  const late = stored(5)
  blocks[2]!.push(late)
  await store(service, ...blocks)

  const ascending = [...records, late].sort((a, b) =>
    a.createdDate.getTime() - b.createdDate.getTime() || (a.id < b.id ? -1 : 1)).map(({ id }) => id)
  for (const limit of [1, 7, 60, 200]) {
    const { ids } = await walk(service, `/audit?${range}&limit=${limit}`)
    t.same(ids, ascending.toReversed(), `pages of ${limit}, newest first`)
    const forward = await walk(service, `/audit?${range}&limit=${limit}&sort=createdDate`)
    t.same(forward.ids, ascending, `pages of ${limit}, oldest first`)
  }
  t.equal((await walk(service, `/audit?${range}&limit=61`)).pages, 1, 'no page follows a full last one')
})

test('many blocks of one millisecond are read without gap or repeat', async (t) => {
  const service = await audit(t)
  const records = Array.from({ length: 90 }, () => stored(0))
  await store(service, ...records.map((record) => [record]))
  for (const sort of ['createdDate', '-createdDate']) {
    const { ids } = await walk(service, `/audit?${range}&sort=${sort}&limit=200`)
    t.same(ids.toSorted(), records.map(({ id }) => id).sort())
  }
})

test('a record that is stored twice is returned once', async (t) => {
  const service = await audit(t)
  const first = stored(0)
  await store(service, [first], [{ ...first, createdDate: at(2_000) }])
  t.equal((await walk(service, `/audit?${range}`)).ids.length, 1)
  const found = (await service.get(`/audit/${first.id}`)).json()
  t.equal(found.createdDate, first.createdDate.toISOString(), 'the first one')
})

test('a range includes its beginning, and not its end', async (t) => {
  const service = await audit(t)
  await store(service, [stored(-1), stored(0), stored(9), stored(10)])
  const { ids } = await walk(service, `/audit?from=${at(0).toISOString()}&to=${at(10).toISOString()}`)
  t.equal(ids.length, 2)
})

test('every criterion has to be met by one record', async (t) => {
  const service = await audit(t)
  const full = stored(0, {
    actor: 'a',
    onBehalfOf: 'b',
    purpose: 'TREAT',
    clientAddress: '192.0.2.1',
    outcome: 'failure',
    operationId: '11111111111111111111111111111111',
    resource: { type: 'test', id: 'test-1', patientId: 'patient-1', operation: 'patch' },
    disclosed: [{ id: 'disclosed-1', version: 'v' }]
  })
  await store(service, [stored(1, { actor: 'a' }), full, stored(2, { onBehalfOf: 'b' })])
  const criteria = {
    onBehalfOf: 'b',
    actor: 'a',
    purpose: 'TREAT',
    clientAddress: '192.0.2.1',
    outcome: 'failure',
    type: 'test',
    operation: 'patch',
    operationId: full.operationId
  }
  const all = new URLSearchParams(criteria)
  t.same((await walk(service, `/audit?${range}&${all}`)).ids, [full.id])
  for (const name of Object.keys(criteria)) {
    const others: Record<string, string> = { outcome: 'success', purpose: 'HCOMPL' }
    const other = new URLSearchParams({ ...criteria, [name]: others[name] ?? 'other' })
    t.same((await walk(service, `/audit?${range}&${other}`)).ids, [], name)
  }
  for (const id of ['test-1', 'patient-1', 'disclosed-1']) {
    t.same((await walk(service, `/audit?id=${id}&type=test`)).ids, [full.id], id)
  }
  t.same((await walk(service, '/audit?id=test-1&actor=c')).ids, [])
})

test('a question needs a range, an id or a trace, and at most 31 days', async (t) => {
  const { get, blocks } = await audit(t)
  const cases: Array<[query: string, pointer: string]> = [
    ['', '#/from'], ['actor=a', '#/from'], ['from=2026-03-01T00:00:00Z', '#/to'],
    ['from=2026-03-01T00:00:00Z&to=2026-04-02T00:00:00Z', '#/to'],
    ['from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z', '#/to'],
    ['id=Lovelace', '#/id'],
    ['purpose=NOPE', '#/purpose'],
    ['id=x1&from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', '#/to'],
    [`${range}&limit=0`, '#/limit'], [`${range}&outcome=secret`, '#/outcome'], ['from=secret', '#/from'],
    [`${range}&secret=1`, '#']
  ]
  for (const [query, pointer] of cases) {
    const answer = await get(`/audit?${query}`)
    t.match(answer.json(), { code: 'INVALID_REQUEST', errors: [{ pointer }] }, query)
    t.notMatch(answer.body, /secret/)
  }
  t.equal((await get('/audit/actors/a')).statusCode, 400)
  t.equal((await blocks()).length, 0, 'nothing was answered, so nothing is recorded')
  t.equal((await get('/audit?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z')).statusCode, 200, '31 days')
  t.equal((await get('/audit?operationId=x')).statusCode, 200)
})

test('every question is recorded before it is answered, with who asks and why, and no value', async (t) => {
  const { get, blocks } = await audit(t)
  const patient = randomUUID()
  const caller = {
    'x-audit-client-address': '192.0.2.7',
    'x-audit-request-id': randomUUID(),
    'x-on-behalf-of': 'reviewer-1',
    'x-purpose-of-use': 'HCOMPL'
  }
  await get(`/audit?${range}&actor=secret&outcome=failure&limit=5`, caller)
  const unknown = randomUUID()
  t.equal((await get(`/audit/${unknown}`, caller)).statusCode, 404)
  await get(`/patient/${patient.toUpperCase()}/access-log`, caller)
  await get(`/audit/actors/another?${range}`, caller)
  const found = (await blocks()).flatMap(({ records }) => records)
  const by = { actor: 'an-auditor', clientAddress: '192.0.2.7', onBehalfOf: 'reviewer-1', purpose: 'HCOMPL' }
  const type = 'audit-record'
  t.match(found, [
    { ...by, resource: { type, operation: 'search' }, criteria: ['from', 'to', 'actor', 'outcome'] },
    { ...by, resource: { type, operation: 'load', id: unknown } },
    { ...by, resource: { type, operation: 'access-log', patientId: patient } },
    { ...by, resource: { type, operation: 'actor-summary', id: 'another' }, criteria: ['from', 'to'] }
  ])
  t.notMatch(JSON.stringify(found), /secret/)
  const log = (await get(`/patient/${patient}/access-log`)).json()
  t.equal(log.length, 2, 'the questions about a patient are in its access log, this one too')
})

test('malformed headers of the caller are refused before anything is recorded', async (t) => {
  const { get, blocks } = await audit(t)
  const malformed = [
    ['x-purpose-of-use', 'secret'], ['x-on-behalf-of', 'se cret'], ['x-purpose-of-use', 'BTG']
  ]
  for (const [name, value] of malformed) {
    const answer = await get(`/audit?${range}`, { [name!]: value! })
    t.match(answer.json(), { status: 400, code: 'INVALID_CALLER' })
    t.notMatch(answer.body, /se ?cret/)
  }
  t.same(await blocks(), [])
})

test('an access log has everything about one patient, and no other patient of a search', async (t) => {
  const service = await audit(t)
  const [patient, other] = [randomUUID(), randomUUID()]
  const version = randomUUID()
  const records = [
    stored(1, { resource: { type: 'patient', id: patient, operation: 'load' } }),
    stored(2, {
      resource: { type: 'test', id: 'x', patientId: patient, operation: 'load' },
      disclosed: [{ id: 'x', version }]
    }),
    stored(3, {
      resource: { type: 'patient', operation: 'search' },
      disclosed: [{ id: other, version }, { id: patient, version }]
    }),
    stored(4, { resource: { type: 'patient', id: other, operation: 'load' } })
  ]
  await store(service, records)
  const log = (await service.get(`/patient/${patient}/access-log?sort=createdDate`)).json()
  t.same(log.slice(0, 3).map(({ id }: { id: string }) => id), records.slice(0, 3).map(({ id }) => id))
  t.same(log[1].disclosed, [{ id: 'x', version }])
  t.same(log[2].disclosed, [{ id: patient, version }])
  t.notMatch(JSON.stringify(log), other)
  t.equal((await service.get('/patient/no-uuid/access-log')).statusCode, 404)
})

test('a cursor belongs to one subscription, path, sort and criteria', async (t) => {
  const service = await audit(t)
  await store(service, [stored(0, { actor: 'a' }), stored(1, { actor: 'a' })])
  const { headers } = await service.get(`/audit?${range}&actor=a&limit=1`)
  const url = /<(.*)>/.exec(String(headers.link))![1]!
  t.equal((await service.get(url)).statusCode, 200)
  t.equal((await service.get(url.replace('limit=1', 'limit=2'))).statusCode, 200, 'of any limit')
  const others = [
    url.replace('actor=a', 'actor=b'), url.replace('sort=-', 'sort='), url.replace('cursor=', 'cursor=A'),
    `${url}A`
  ]
  for (const other of others) t.match((await service.get(other)).json(), { code: 'INVALID_CURSOR' }, other)
  t.match((await service.get(url, { 'x-audit-actor': 'other' })).json(), { code: 'INVALID_CURSOR' })
})

test('what an actor did is counted by day, operation and patient', async (t) => {
  const service = await audit(t)
  const day = 24 * 60 * 60 * 1_000
  const version = 'v'
  const load = (ms: number, id: string) =>
    stored(ms, { actor: 'a', resource: { type: 'patient', id, operation: 'load' } })
  await store(service, [load(1, 'p1'), load(2, 'p1'), stored(3, {
    actor: 'a',
    resource: { type: 'patient', operation: 'search' },
    disclosed: ['p1', 'p2'].map((id) => ({ id, version }))
  })], [load(day, 'p3'), stored(day + 1, { actor: 'b' })])
  const dates = 'from=2026-03-01T00:00:00Z&to=2026-03-03T00:00:00Z'
  const { days } = (await service.get(`/audit/actors/a?${dates}`)).json()
  t.same(days, [
    {
      day: '2026-03-01',
      operations: [
        { type: 'patient', operation: 'load', count: 2 },
        { type: 'patient', operation: 'search', count: 1 }
      ],
      patients: 2
    },
    { day: '2026-03-02', operations: [{ type: 'patient', operation: 'load', count: 1 }], patients: 1 }
  ])
})

test('the query key opens GET, and the host key POST, and neither the other', async (t) => {
  const { app, post, get } = await audit(t)
  t.equal((await get('/audit?id=x1', { 'x-functions-key': hostKey })).statusCode, 401)
  t.equal((await get('/nothing', { 'x-functions-key': hostKey })).statusCode, 401)
  t.equal((await post(record(), { 'x-functions-key': queryKey })).statusCode, 401)
  t.equal((await get('/nothing')).statusCode, 404)
  for (const method of ['PUT', 'PATCH', 'DELETE'] as const) {
    const url = `/audit/${randomUUID()}`
    const statusWith = async (key: string) =>
      (await app.inject({ method, url, headers: { 'x-functions-key': key } })).statusCode
    t.equal(await statusWith(queryKey), 401, method)
    t.equal(await statusWith(hostKey), 404, method)
  }
})
