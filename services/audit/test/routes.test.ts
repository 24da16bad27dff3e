import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { audit, record } from './app.ts'

test('a record is answered with its id and date, and stands with its trace', async (t) => {
  const { post, blocks } = await audit(t)
  const said = record({
    actor: 'a-subscription', clientAddress: '192.0.2.1', requestId: randomUUID(), criteria: ['lastName'], disclosed: [{ id: 'x', version: 'y' }]
  })
  const answer = await post(said, { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })
  t.equal(answer.statusCode, 201)
  const { id, createdDate } = answer.json()

  const [block] = await blocks()
  t.match(block!.records, [{ ...said, id, seq: 1, operationId: '0af7651916cd43dd8448eb211c80319c' }])
  t.equal(block!.records[0]!.createdDate.toISOString(), createdDate)
  t.equal(block!._id, `${block!.chain}:1`)
  t.equal(block!._shardKey, block!.chain)
})

test('the path of the published sample answers too', async (t) => {
  const { post, blocks } = await audit(t)
  t.equal((await post(record(), {}, '/api/auditrecord/')).statusCode, 201)
  t.equal((await blocks()).length, 1)
})

test('what the register assigns itself, and what it does not know, is refused', async (t) => {
  const { post, blocks, logs } = await audit(t)
  const bodies = [
    record({ id: 'secret' }), record({ createdDate: 'secret' }), record({ secret: 1 }), record({ resource: { type: 'patient' } }),
    record({ disclosed: [{ id: 'secret' }] }), record({ outcome: 'secret' }), record({ criteria: 'secret' }), {}, []
  ]
  for (const body of bodies) {
    const answer = await post(body)
    t.match(answer.json(), { status: 400, code: 'INVALID_REQUEST' }, JSON.stringify(body))
    t.notMatch(answer.body, /secret/)
  }
  t.same((await post(record({ id: 'secret' }))).json().errors.map(({ pointer }: { pointer: string }) => pointer), ['#/id'])
  t.same(await blocks(), [])
  t.notMatch(logs(), /secret/)
})

test('a call without the host key is a 401 and from elsewhere a 403', async (t) => {
  const { app, post, blocks } = await audit(t)
  t.equal((await post(record(), { 'x-functions-key': 'another-key-than-the-one' })).statusCode, 401)
  t.equal((await app.inject({ method: 'POST', url: '/audit', payload: record() })).statusCode, 401)
  t.equal((await app.inject({ method: 'POST', url: '/audit', payload: record(), remoteAddress: '127.0.0.2' })).statusCode, 403)
  t.same(await blocks(), [])
})

test('no route reads, changes or deletes a record', async (t) => {
  const { app, post } = await audit(t)
  const { id } = (await post(record())).json()
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'] as const) {
    for (const path of ['/audit', `/audit/${id}`, '/api/auditrecord', `/api/auditrecord/${id}`]) {
      t.equal((await app.inject({ method, url: path, headers: { 'x-functions-key': 'audit-host-key-of-the-test' } })).statusCode, 404, `${method} ${path}`)
    }
  }
})

test('nobody without the host key learns which routes exist', async (t) => {
  const { app } = await audit(t)
  for (const [method, url] of [['GET', '/audit'], ['GET', '/nothing'], ['DELETE', '/audit/1'], ['PUT', '/log-level/x']] as const) {
    t.match((await app.inject({ method, url })).json(), { status: 401, code: 'HOST_KEY_REFUSED' }, url)
    t.match((await app.inject({ method, url, remoteAddress: '127.0.0.2' })).json(), { status: 403 }, url)
  }
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

test('an Idempotency-Key is the id of the record', async (t) => {
  const { post } = await audit(t)
  const id = randomUUID()
  t.equal((await post(record(), { 'idempotency-key': id.toUpperCase() })).json().id, id)
  for (const key of ['', 'x', `${id}0`]) t.match((await post(record(), { 'idempotency-key': key })).json(), { code: 'INVALID_RECORD_ID', status: 400 })
})

test('only a record that is said to be sent for the first time is not looked for', { skip: !hasFailPoints && 'the database has no fail points' }, async (t) => {
  const { post, failCommand, blocks } = await audit(t)
  await failCommand({ times: 1 }, { failCommands: ['find'], errorCode: 2 })
  const first = { 'idempotency-key': randomUUID(), 'x-audit-attempt': '1' }
  t.equal((await post(record(), first)).statusCode, 201)
  t.equal((await post(record(), { 'idempotency-key': randomUUID() })).statusCode, 500, 'the one that is looked for meets the fault')
  for (const attempt of ['', '2', 'x']) t.equal((await post(record(), { ...first, 'x-audit-attempt': attempt })).statusCode, 201, 'a repeat')
  t.equal((await blocks()).length, 1, 'recorded once')
})
