import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Pool } from 'undici'
import { blockHash, commitmentOf, NO_PREVIOUS } from '#common/transparency/commitment.ts'
import { INSTANT, UUID, startApi } from './api.ts'
import type { AuditRecord } from './stores.ts'
import { answers, freePorts } from '../../emulators/processes/probes.ts'

const api = await startApi()
const { run, keys } = api.system
const HOST_KEY = { 'x-functions-key': keys['audit-host-key'] }

const newRecord = (changes: object = {}) => ({
  sourceSystemName: 'contract',
  resource: { type: 'patient', id: randomUUID(), operation: 'load' },
  actor: 'somebody',
  clientAddress: '192.0.2.1',
  requestId: randomUUID(),
  criteria: ['lastName'],
  disclosed: [{ id: randomUUID(), version: randomUUID() }],
  outcome: 'success',
  attemptOf: randomUUID(),
  ...changes
})

async function send (url: string, method: string, path: string, body?: unknown, headers: object = HOST_KEY) {
  const pool = new Pool(url)
  try {
    const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await pool.request({ method, path, headers: { ...headers }, body: sent ?? null })
    const text = await answer.body.text()
    return { status: answer.statusCode, headers: answer.headers, body: text ? JSON.parse(text) : undefined }
  } finally {
    await pool.destroy()
  }
}

function post (body: unknown, headers: object = {}, path = '/audit') {
  return send(run.audit.url, 'POST', path, body, { ...HOST_KEY, ...headers })
}
const postAs = (id: string, body: unknown) => post(body, { 'idempotency-key': id })
const stored = (id: string) => api.records({ 'records.id': id }, (record) => record.id === id)

type Answer = Awaited<ReturnType<typeof post>>

function isRefused (t: Test, { status, headers, body }: Answer, expected: number, code?: string) {
  t.equal(status, expected)
  t.match(headers['content-type'], /^application\/problem\+json(;|$)/)
  const texts = { type: String, title: String, detail: String, instance: /^urn:uuid:/ }
  t.match(body, { ...texts, status: expected, code: code ?? String, traceId: /^[0-9a-f]{32}$/ })
}

test('a record is answered 201 with its id and createdDate, and stands then', async (t) => {
  const record = newRecord()
  const trace = randomBytes(16).toString('hex')
  const { status, headers, body } = await post(record, { traceparent: `00-${trace}-00f067aa0ba902b7-01` })
  t.equal(status, 201)
  t.equal(headers['content-type'], 'application/json; charset=utf-8')
  t.strictSame(Object.keys(body).sort(), ['createdDate', 'id'])
  t.match(body, { id: UUID, createdDate: INSTANT })
  const [{ seq, salt, ...found }] = await stored(body.id) as [any]
  t.equal(salt.length(), 16)
  t.strictSame(found, { ...record, id: body.id, createdDate: new Date(body.createdDate), operationId: trace })
})

test('the required properties alone make a record', async (t) => {
  const { sourceSystemName, resource: { type, operation } } = newRecord()
  const { status, body } = await post({ sourceSystemName, resource: { type, operation } })
  t.equal(status, 201)
  t.equal((await stored(body.id)).length, 1)
})

test('the sample\'s path answers too', async (t) => {
  for (const path of ['/api/auditrecord', '/api/auditrecord/', '/audit/']) {
    const { status, body } = await post(newRecord(), {}, path)
    t.equal(status, 201, path)
    t.equal((await stored(body.id)).length, 1)
  }
})

test('id and createdDate are refused in a request', async (t) => {
  for (const [name, value] of [['id', randomUUID()], ['createdDate', new Date().toISOString()]] as const) {
    const answer = await post(newRecord({ [name]: value }))
    isRefused(t, answer, 400, 'INVALID_REQUEST')
    t.equal(answer.body.errors[0].pointer, `#/${name}`)
  }
})

test('what is no record is a 400', async (t) => {
  const wrong = [
    ...[
      { sourceSystemName: undefined }, { sourceSystemName: '' }, { sourceSystemName: 1 },
      { resource: undefined }, { resource: { type: 'patient' } },
      { resource: { type: 'patient', operation: 'load', value: 1 } },
      { criteria: 'lastName' }, { criteria: [{ lastName: 'x' }] },
      { disclosed: [{ id: 'x' }] }, { disclosed: [{ id: 'x', version: 'y', name: 'z' }] },
      { outcome: 'perhaps' }, { attemptOf: 'x' }, { actor: { $gt: '' } },
      { seq: 1 }, { operationId: 'x' }, { records: [] }
    ].map(newRecord),
    [], [newRecord()], null, 1, '', '{', '{"__proto__":1}', 'x'
  ]
  for (const body of wrong) isRefused(t, await post(body), 400)
  isRefused(t, await post(JSON.stringify(newRecord()).padEnd(2 ** 20 + 1)), 413, 'BODY_TOO_LARGE')
})

/** Whether it is the outcome of an attempt before: patient records those once the machine has the time. */
const isLate = ({ attemptOf }: AuditRecord, attempts: Set<string>) => attempts.has(attemptOf!)

test('a host key that is missing or wrong is a 401, and nothing but that is recorded', async (t) => {
  const isWithoutKey = (answer: Answer) => isRefused(t, answer, 401, 'HOST_KEY_REFUSED')
  const before = await api.records()
  const wrong = [
    {},
    { 'x-functions-key': '' },
    { 'x-functions-key': 'wrong' },
    { 'x-functions-key': `${keys['audit-host-key']}x` },
    { 'ocp-apim-subscription-key': api.system.subscriptionKey }
  ]
  // Together: for each wrong key a service reads the keys again, at most once a second
  await Promise.all(wrong.flatMap((headers) => [
    // Also where there is no such route: without a key nobody learns which there are
    ...['/audit', '/api/auditrecord', '/nothing'].map((path) =>
      send(run.audit.url, 'POST', path, newRecord(), headers)),
    send(run.audit.url, 'GET', '/audit', undefined, headers),
    send(run.patient.url, 'POST', '/patient/search', {}, headers),
    send(run.patient.url, 'POST', '/nothing', {}, headers)
  ].map(async (answer) => isWithoutKey(await answer))))
  const patientKey = { 'x-functions-key': keys['patient-host-key'] }
  isWithoutKey(await send(run.audit.url, 'POST', '/audit', newRecord(), patientKey))
  isWithoutKey(await send(run.patient.url, 'POST', '/patient/search', {}, HOST_KEY))
  const resource = { type: 'host-key', operation: 'refuse' }
  const refusal = { resource, clientAddress: '127.0.0.1', outcome: 'failure', count: 1 }
  const known = new Set(before.map(({ id }) => id))
  const refusals = () => {
    const isNew = ({ id, resource }: AuditRecord) => resource.type === 'host-key' && !known.has(id)
    return api.records({ 'records.resource.type': 'host-key' }, isNew)
  }
  while (new Set((await refusals()).map(({ sourceSystemName }) => sourceSystemName)).size < 2) await sleep(20)
  const recorded = (await api.records()).filter((record) => !known.has(record.id) && !isLate(record, known))
  for (const service of ['audit', 'patient']) {
    const [first, ...later] = recorded.filter(({ sourceSystemName }) => sourceSystemName === service)
    t.match(first, refusal)
    // The others are counted once a minute, which may be now
    for (const record of later) t.match(record, { ...refusal, count: Number })
  }
  t.ok(recorded.every(({ sourceSystemName }) => ['audit', 'patient'].includes(sourceSystemName)))
})

test('the host key reads no record, and no route changes or deletes one', async (t) => {
  const { body: { id } } = await post(newRecord())
  const before = await api.blocks()
  for (const path of ['/audit', `/audit/${id}`, '/api/auditrecord', `/api/auditrecord/${id}`]) {
    // Another key opens it
    isRefused(t, await send(run.audit.url, 'GET', path), 401, 'HOST_KEY_REFUSED')
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      isRefused(t, await send(run.audit.url, method, path, newRecord()), 404, 'ROUTE_NOT_FOUND')
    }
  }
  isRefused(t, await post(newRecord(), {}, `/audit/${id}`), 404)
  const known = new Set(before.map(({ _id }) => _id))
  const after = Map.groupBy(await api.blocks(), ({ _id }) => known.has(_id))
  t.strictSame(after.get(true), before)
  // Refused calls are counted, and recorded once a minute, which may be now
  const attempts = new Set(before.flatMap(({ records }) => records.map(({ id }) => id)))
  const recorded = (after.get(false) ?? []).flatMap(({ records }) => records)
    .filter((record) => !isLate(record, attempts))
  t.ok(recorded.every(({ resource }) => resource.type === 'host-key'))
})

test('the caller may choose the id, and a repeated post records once', async (t) => {
  const id = randomUUID()
  const record = newRecord()
  const first = await post(record, { 'idempotency-key': id })
  t.equal(first.status, 201)
  t.equal(first.body.id, id)
  for (const key of [id, id.toUpperCase()]) {
    const again = await post(record, { 'idempotency-key': key })
    t.equal(again.status, 201)
    t.strictSame(again.body, first.body)
  }
  t.equal((await stored(id)).length, 1)
})

test('posts of one id at once record once', async (t) => {
  for (let round = 0; round < 5; round++) {
    const id = randomUUID()
    const record = newRecord()
    const answers = await Promise.all(Array.from({ length: 16 }, () => postAs(id, record)))
    t.strictSame(answers.map(({ status }) => status), Array(16).fill(201))
    t.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1)
    t.equal((await stored(id)).length, 1)
  }
})

test('another record under an id that was taken is a 409', async (t) => {
  const id = randomUUID()
  const record = newRecord()
  t.equal((await postAs(id, record)).status, 201)
  for (const other of [newRecord(), { ...record, outcome: 'failure' }, { ...record, actor: undefined }]) {
    isRefused(t, await postAs(id, other), 409)
  }
  const another = `${id.slice(0, -1)}${id.endsWith('0') ? 1 : 0}`
  const answers = await Promise.all([1, 2, 3].map(() => postAs(another, newRecord())))
  t.strictSame(answers.map(({ status }) => status).sort(), [201, 409, 409])
  t.equal((await stored(id)).length, 1)
})

test('an Idempotency-Key that is no uuid is a 400', async (t) => {
  for (const key of ['', 'x', `${randomUUID()}0`]) isRefused(t, await postAs(key, newRecord()), 400)
})

test('a post repeated after the service was killed records once', async (t) => {
  const id = randomUUID()
  const record = newRecord()
  const first = await postAs(id, record)
  await api.system.restarted('audit', api.system.kill('audit'))
  for (let i = 0; i < 2; i++) {
    const { status, body } = await postAs(id, record)
    t.strictSame({ status, body }, { status: 201, body: first.body })
  }
  isRefused(t, await postAs(id, newRecord()), 409)
  t.equal((await stored(id)).length, 1)
})

test('what was answered 201 stands after the service was killed, and the rest can be repeated', async (t) => {
  const sent = Array.from({ length: 200 }, () => ({ id: randomUUID(), record: newRecord() }))
  const { pid } = api.system.run.audit
  let killed = false
  const statuses = await Promise.all(sent.map(async ({ id, record }) => {
    const status = await postAs(id, record).then(({ status }) => status, () => 0)
    if (!killed) api.system.kill('audit')
    killed = true
    return status
  }))
  await api.system.restarted('audit', pid!)
  const before = new Set((await api.records()).map(({ id }) => id))
  for (const [i, status] of statuses.entries()) t.ok(status !== 201 || before.has(sent[i]!.id))
  const again = await Promise.all(sent.map(({ id, record }) => postAs(id, record)))
  t.strictSame([...new Set(again.map(({ status }) => status))], [201])
  const ids = (await api.records()).map(({ id }) => id)
  t.equal(ids.length, new Set(ids).size)
})

test('records that arrive together share blocks of at most 100 records and 1 MiB', async (t) => {
  const text = () => randomBytes(100).toString('hex')
  const large = () => newRecord({
    disclosed: Array.from({ length: 1_000 }, () => ({ id: text(), version: text() }))
  })
  const answers = await Promise.all([
    ...Array.from({ length: 250 }, () => post(newRecord())),
    ...Array.from({ length: 6 }, () => post(large()))
  ])
  t.strictSame([...new Set(answers.map(({ status }) => status))], [201])
  const blocks = await api.blocks()
  const next = new Map<string, number>()
  const hashes = new Map<string, Buffer>()
  for (const block of blocks) {
    const { _id, _shardKey, chain, firstSeq, records, previous, from, to, ...more } = block
    t.strictSame(more, {})
    const dates = records.map(({ createdDate }) => createdDate.getTime()).sort()
    t.strictSame([from.getTime(), to.getTime()], [dates[0], dates.at(-1)])
    t.strictSame(Buffer.from(previous!.value()), hashes.get(chain) ?? NO_PREVIOUS)
    hashes.set(chain, blockHash(block, records.map(commitmentOf)))
    t.equal(_id, `${chain}:${firstSeq}`)
    t.equal(_shardKey, chain)
    t.equal(firstSeq, next.get(chain) ?? 1, 'no gap')
    t.ok(records.length >= 1 && records.length <= 100)
    t.ok(JSON.stringify(records).length <= 2 ** 20 + 4_096)
    t.strictSame(records.map(({ seq }) => seq), records.map((_, i) => firstSeq + i))
    next.set(chain, firstSeq + records.length)
  }
  t.ok(next.size >= 3, 'a chain is one run')
})

test('a caller from an address that is not allowed is a 403', async (t) => {
  const start = async (settings: NodeJS.ProcessEnv) => {
    const [port] = await freePorts()
    const service = spawn(process.execPath, [new URL('../../audit/main.ts', import.meta.url).pathname], {
      env: {
        PATH: process.env.PATH,
        HOST: '127.0.0.1',
        PORT: String(port),
        AUDIT_DB_CONNECTION: run.audit.connection,
        DATABASE_NAME: run.audit.database,
        AUDIT_HOST_KEY: keys['audit-host-key'],
        AUDIT_QUERY_KEY: keys['audit-query-key'],
        AUDIT_LOG_KEY: 'k'.repeat(43),
        ...settings
      },
      stdio: 'ignore'
    })
    t.teardown(async () => {
      if (service.kill('SIGKILL')) await once(service, 'exit')
    })
    const url = `http://127.0.0.1:${port}`
    while (!await answers(`${url}/health/ready`)) {
      if (service.exitCode !== null) throw new Error('not started')
    }
    return (headers: object = {}) => send(url, 'POST', '/audit', newRecord(), { ...HOST_KEY, ...headers })
  }
  const [byPeer, byIngress] = await Promise.all([
    start({ ALLOWED_CALLERS: '10.0.0.0/8', CALLER_ADDRESS: 'peer' }),
    start({ ALLOWED_CALLERS: '10.0.0.0/8,fd00::/8' })
  ])
  isRefused(t, await byPeer(), 403, 'CALLER_REFUSED')
  isRefused(t, await byPeer({ 'x-forwarded-for': '10.0.0.1' }), 403, 'CALLER_REFUSED')
  for (const allowed of ['10.0.0.1', '192.0.2.1, 10.255.0.1', 'fd00::1', '::ffff:10.0.0.1']) {
    t.equal((await byIngress({ 'x-forwarded-for': allowed })).status, 201, allowed)
  }
  for (const refused of ['192.0.2.1', '10.0.0.1, 192.0.2.1', '', 'nonsense', '10.0.0.1,', '::1']) {
    isRefused(t, await byIngress({ 'x-forwarded-for': refused }), 403, 'CALLER_REFUSED')
  }
  isRefused(t, await byIngress(), 403, 'CALLER_REFUSED')
  isRefused(t, await byIngress({ 'x-functions-key': 'wrong', 'x-forwarded-for': '10.0.0.1' }), 401)
})

test('health asks for no key', async (t) => {
  for (const { url } of [run.audit, run.patient]) {
    for (const path of ['/health/live', '/health/ready']) {
      t.equal((await send(url, 'GET', path, undefined, {})).status, 200)
    }
  }
})
