import { randomUUID } from 'node:crypto'
import { test, type Test } from 'tap'
import type { Attempts } from '../../common/audit-record.ts'
import { registerIndexes, type Block } from '../register.ts'
import { audit, hostKey, record } from './app.ts'

async function start (t: Test) {
  const register = await audit(t)
  const store = async (more: object) => {
    const answer = await register.post(record(more))
    return answer.json() as { id: string, createdDate: string }
  }
  const ask = async (replica: string) => {
    const answer = await register.post({ replica }, {}, '/audit/attempts')
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
  // A repeat does not say how the first attempt ended, and a failure in doubt not how its own did
  const repeat = await store({ replica, attemptOf: open[0]!.id })
  await store({ replica, attemptOf: open[1]!.id, outcome: 'failure' })

  const { attempts, more } = await ask(replica)
  t.strictSame(attempts.map(({ id }) => id), [...open, repeat].map(({ id }) => id))
  t.match(attempts[0], { requestId: '1', replica, resource: { id: 'an-id' }, operationId: String })
  t.equal(more, false)
  t.strictSame((await ask(randomUUID())).attempts, [])
})

test('attempts and their outcomes are found by indexes, whatever the clocks of replicas said', async (t) => {
  const { store, ask, db } = await start(t)
  const replica = randomUUID()
  const [settled, open] = [await store({ replica }), await store({ replica })]
  await store({ attemptOf: settled.id, outcome: 'failure' })
  const blocks = db.collection<Block>('blocks')
  for (const [i, { _id, records }] of (await blocks.find().sort({ _id: 1 }).toArray()).entries()) {
    const date = new Date(Date.now() + (i % 2 ? 1_020_000 : -14_400_000))
    const stepped = records.map((record) => ({ ...record, createdDate: date }))
    await blocks.updateOne({ _id }, { $set: { records: stepped, from: date, to: date } })
  }
  t.strictSame((await ask(replica)).attempts.map(({ id }) => id), [open.id])
  let indexes = await blocks.indexes()
  while (indexes.length <= registerIndexes.length) indexes = await blocks.indexes()
  for (const field of ['records.replica', 'records.attemptOf']) {
    const plan = await blocks.find({ [field]: { $in: [replica] } }).explain('queryPlanner')
    t.match(JSON.stringify(plan), new RegExp(`IXSCAN.*"${field}_1"|"${field}_1".*IXSCAN`))
  }
})

test('more attempts than one response has are found once the first have their outcome', async (t) => {
  const { store, ask, post } = await start(t)
  const replica = randomUUID()
  await Promise.all(Array.from({ length: 1_050 }, () => store({ replica })))
  const { attempts, more } = await ask(replica)
  t.match([attempts.length, more], [1_000, true])
  await Promise.all(attempts.map(({ id }) => post(record({ attemptOf: id, outcome: 'success' }))))
  const rest = await ask(replica)
  t.match([rest.attempts.length, rest.more], [50, false])
})

test('a block says from when to when its records are', async (t) => {
  const { post, blocks } = await start(t)
  await Promise.all(Array.from({ length: 50 }, () => post(record())))
  for (const { from, to, records } of await blocks()) {
    const dates = records.map(({ createdDate }) => createdDate.getTime())
    t.equal(from.getTime(), Math.min(...dates))
    t.equal(to.getTime(), Math.max(...dates))
  }
})

test('a malformed question is refused, and one without the host key', async (t) => {
  const { app, post, logs } = await start(t)
  for (const body of [
    {}, { replica: 'secret' }, { replica: randomUUID(), secret: 1 }
  ]) {
    const answer = await post(body, {}, '/audit/attempts')
    t.equal(answer.statusCode, 400)
    t.notMatch(answer.body, 'secret')
  }
  const payload = { replica: randomUUID() }
  const withoutKey = await app.inject({ method: 'POST', url: '/audit/attempts', payload })
  t.equal(withoutKey.statusCode, 401)
  const read = { method: 'GET', url: '/audit/attempts', headers: { 'x-functions-key': hostKey } } as const
  t.equal((await app.inject(read)).statusCode, 401, 'the host key opens no GET')
  t.notMatch(logs(), 'secret')
})
