import { randomUUID } from 'node:crypto'
import { test, type Test } from 'tap'
import type { Attempts } from '../../common/audit-record.ts'
import { audit, hostKey, record } from './app.ts'

async function start (t: Test) {
  const register = await audit(t)
  const store = async (more: object) => {
    const answer = await register.post(record(more))
    return answer.json() as { id: string, createdDate: string }
  }
  const ask = async (replica: string, from: string) => {
    const answer = await register.post({ replica, from }, {}, '/audit/attempts')
    t.equal(answer.statusCode, 200, answer.body)
    return answer.json() as Attempts
  }
  return { ...register, store, ask }
}

test('attempts without an outcome are found, those of one process and oldest first', async (t) => {
  const { store, ask } = await start(t)
  const [replica, other] = [randomUUID(), randomUUID()]
  const open = []
  for (const requestId of ['1', '2']) open.push(await store({ replica, requestId }))
  await store({ replica: other })
  await store({})
  for (const outcome of [
    { outcome: 'failure' },
    { outcome: 'success', reconciled: true },
    { disclosed: [{ id: 'a', version: 'b' }] }
  ]) {
    const { id: attemptOf } = await store({ replica })
    await store({ attemptOf, ...outcome })
  }
  // A repeat does not say how the first attempt ended
  const repeat = await store({ replica, attemptOf: open[0]!.id })

  const { attempts, more } = await ask(replica, open[0]!.createdDate)
  t.strictSame(attempts.map(({ id }) => id), [...open, repeat].map(({ id }) => id))
  t.match(attempts[0], { requestId: '1', replica, resource: { id: 'an-id' }, operationId: String })
  t.equal(more, false)
  t.strictSame((await ask(randomUUID(), open[0]!.createdDate)).attempts, [])
})

test('older attempts are left out, also those of the same block', async (t) => {
  const { store, ask, db } = await start(t)
  const replica = randomUUID()
  const { createdDate } = await store({ replica })
  t.equal((await ask(replica, createdDate)).attempts.length, 1)
  const from = new Date(Date.parse(createdDate) + 1).toISOString()
  t.strictSame((await ask(replica, from)).attempts, [])
  await db.collection('blocks').updateMany({}, { $set: { to: new Date(Date.now() + 60_000) } })
  t.strictSame((await ask(replica, from)).attempts, [])
})

test('a block says from when to when its records are, and is found by an index', async (t) => {
  const { post, blocks, db } = await start(t)
  await Promise.all(Array.from({ length: 50 }, () => post(record())))
  for (const { from, to, records } of await blocks()) {
    const dates = records.map(({ createdDate }) => createdDate.getTime())
    t.equal(from.getTime(), Math.min(...dates))
    t.equal(to.getTime(), Math.max(...dates))
  }
  const plan = await db.collection('blocks').find({ to: { $gte: new Date() } }).explain('queryPlanner')
  t.match(JSON.stringify(plan), /IXSCAN.*"to_1__id_1"|"to_1__id_1".*IXSCAN/)
})

test('a malformed question is refused, and one without the host key', async (t) => {
  const { app, post, logs } = await start(t)
  for (const body of [
    {}, { replica: 'secret', from: new Date().toISOString() }, { replica: randomUUID(), from: 'secret' },
    { replica: randomUUID(), from: new Date().toISOString(), secret: 1 }
  ]) {
    const answer = await post(body, {}, '/audit/attempts')
    t.equal(answer.statusCode, 400)
    t.notMatch(answer.body, 'secret')
  }
  const payload = { replica: randomUUID(), from: new Date().toISOString() }
  const withoutKey = await app.inject({ method: 'POST', url: '/audit/attempts', payload })
  t.equal(withoutKey.statusCode, 401)
  const read = { method: 'GET', url: '/audit/attempts', headers: { 'x-functions-key': hostKey } } as const
  t.equal((await app.inject(read)).statusCode, 401, 'the host key opens no GET')
  t.notMatch(logs(), 'secret')
})
