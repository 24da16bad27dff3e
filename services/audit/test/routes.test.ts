import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { audit, hostKey, record } from './app.ts'

test('a record is stored with its trace, and the response has its id and date', async (t) => {
  const { post, blocks } = await audit(t)
  const sent = record({
    actor: 'a-subscription',
    clientAddress: '192.0.2.1',
    requestId: randomUUID(),
    criteria: ['lastName'],
    disclosed: [{ id: 'x', version: 'y' }]
  })
  const answer = await post(sent, { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })
  t.equal(answer.statusCode, 201)
  const { id, createdDate } = answer.json()

  const [block] = await blocks()
  t.match(block!.records, [{ ...sent, id, seq: 1, operationId: '0af7651916cd43dd8448eb211c80319c' }])
  t.equal(block!.records[0]!.createdDate.toISOString(), createdDate)
  t.equal(block!._id, `${block!.chain}:1`)
  t.equal(block!._shardKey, block!.chain)
})

test('records are also stored under the path of the published sample', async (t) => {
  const { post, blocks } = await audit(t)
  t.equal((await post(record(), {}, '/api/auditrecord/')).statusCode, 201)
  t.equal((await blocks()).length, 1)
})

test('properties that the register assigns, and unknown ones, are refused', async (t) => {
  const { post, blocks, logs } = await audit(t)
  const bodies = [
    record({ id: 'secret' }), record({ createdDate: 'secret' }), record({ secret: 1 }),
    record({ resource: { type: 'patient' } }), record({ disclosed: [{ id: 'secret' }] }),
    record({ outcome: 'secret' }), record({ criteria: 'secret' }), {}, []
  ]
  for (const body of bodies) {
    const answer = await post(body)
    t.match(answer.json(), { status: 400, code: 'INVALID_REQUEST' }, JSON.stringify(body))
    t.notMatch(answer.body, /secret/)
  }
  const { errors } = (await post(record({ id: 'secret' }))).json()
  t.same(errors.map(({ pointer }: { pointer: string }) => pointer), ['#/id'])
  t.same(await blocks(), [])
  t.notMatch(logs(), /secret/)
})

test('a record says on whose behalf and why', async (t) => {
  const { post, blocks } = await audit(t)
  const sent = { onBehalfOf: 'urn:dr:1', purpose: 'ETREAT', reason: 'Unfall, nicht bei Bewusstsein 🚑' }
  t.equal((await post(record(sent))).statusCode, 201)
  t.match((await blocks())[0]!.records, [sent])
  const replica = randomUUID()
  t.equal((await post(record({ outcome: 'success', attemptOf: replica, reconciled: true }))).statusCode, 201)
  t.equal((await post(record({ replica }))).statusCode, 201)
  const malformed: Array<[object, string]> = [
    [{ onBehalfOf: 'a secret' }, '#/onBehalfOf'],
    [{ purpose: 'secret' }, '#/purpose'],
    [{ purpose: 'TREAT', reason: 'secret' }, '#/reason'],
    [{ purpose: 'BTG' }, '#/reason'],
    [{ reason: 'a reason without a purpose' }, '#/purpose'],
    [{ replica: 'secret' }, '#/replica'],
    [{ reconciled: false }, '#/reconciled']
  ]
  for (const [more, pointer] of malformed) {
    const answer = await post(record(more))
    t.match(answer.json(), { status: 400, errors: [{ pointer }] })
    t.notMatch(answer.body, /secret/)
  }
})

test('a call without the host key is a 401 and from elsewhere a 403', async (t) => {
  const { app, post, blocks } = await audit(t)
  t.equal((await post(record(), { 'x-functions-key': 'another-key-than-the-one' })).statusCode, 401)
  const withoutKey = { method: 'POST', url: '/audit', payload: record() } as const
  t.equal((await app.inject(withoutKey)).statusCode, 401)
  t.equal((await app.inject({ ...withoutKey, remoteAddress: '127.0.0.2' })).statusCode, 403)
  t.same(await blocks(), [])
})

test('no route changes or deletes a record', async (t) => {
  const { app, post } = await audit(t)
  const { id } = (await post(record())).json()
  const headers = { 'x-functions-key': hostKey }
  for (const method of ['PUT', 'PATCH', 'DELETE'] as const) {
    for (const path of ['/audit', `/audit/${id}`, '/api/auditrecord', `/api/auditrecord/${id}`]) {
      t.equal((await app.inject({ method, url: path, headers })).statusCode, 404, `${method} ${path}`)
    }
  }
})

test('callers without the host key do not learn which routes exist', async (t) => {
  const { app } = await audit(t)
  const calls = [
    ['GET', '/audit'], ['GET', '/nothing'], ['DELETE', '/audit/1'], ['PUT', '/log-level/x']
  ] as const
  for (const [method, url] of calls) {
    t.match((await app.inject({ method, url })).json(), { status: 401, code: 'HOST_KEY_REFUSED' }, url)
    t.match((await app.inject({ method, url, remoteAddress: '127.0.0.2' })).json(), { status: 403 }, url)
  }
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

test('an Idempotency-Key is the id of the record', async (t) => {
  const { post } = await audit(t)
  const id = randomUUID()
  t.equal((await post(record(), { 'idempotency-key': id.toUpperCase() })).json().id, id)
  for (const key of ['', 'x', `${id}0`]) {
    const answer = await post(record(), { 'idempotency-key': key })
    t.match(answer.json(), { code: 'INVALID_RECORD_ID', status: 400 })
  }
})

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

test('the register searches for a record unless this is its first attempt', embeddedOnly, async (t) => {
  const { post, failCommand, blocks } = await audit(t)
  await failCommand({ times: 1 }, { failCommands: ['find'], errorCode: 2 })
  const first = { 'idempotency-key': randomUUID(), 'x-audit-attempt': '1' }
  t.equal((await post(record(), first)).statusCode, 201)
  t.equal((await post(record(), { 'idempotency-key': randomUUID() })).statusCode, 500, 'the search fails')
  for (const attempt of ['', '2', 'x']) {
    t.equal((await post(record(), { ...first, 'x-audit-attempt': attempt })).statusCode, 201, 'a repeat')
  }
  t.equal((await blocks()).length, 1, 'recorded once')
})
