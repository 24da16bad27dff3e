import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { hasFailPoints, mongo, startEmbedded } from '../../common/test/mongo.ts'
import { MongoClient } from 'mongodb'
import { blockHash, commitmentOf, NO_PREVIOUS } from '../../common/transparency/commitment.ts'
import type { Block } from '../register.ts'
import { audit, record } from './app.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

test('records that arrive together share blocks of at most 100, in one chain without gaps', async (t) => {
  const { post, blocks } = await audit(t)
  const answers = await Promise.all(
    Array.from({ length: 400 }, (_, i) => post(record({ requestId: `request-${i}` })))
  )
  t.ok(answers.every(({ statusCode }) => statusCode === 201))

  const stored = await blocks()
  t.ok(stored.length <= 100, `${stored.length} inserts for 400 records`)
  t.ok(stored.every(({ records }) => records.length <= 100))
  const records = stored.flatMap((block) => {
    t.equal(block._id, `${block.chain}:${block.firstSeq}`)
    t.equal(block.records[0]!.seq, block.firstSeq)
    return block.records
  })
  t.same(records.map(({ seq }) => seq), Array.from({ length: 400 }, (_, i) => i + 1))
  t.equal(new Set(stored.map(({ chain }) => chain)).size, 1)
  t.same(new Set(records.map(({ id }) => id)), new Set(answers.map((answer) => answer.json().id)))
})

test('a block stays under 1 MiB', async (t) => {
  const { post, blocks } = await audit(t)
  const disclosed = Array.from({ length: 1_000 }, () => ({ id: randomUUID(), version: randomUUID() }))
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(record({ disclosed }))))
  t.ok(answers.every(({ statusCode }) => statusCode === 201))
  const sizes = (await blocks()).map(({ records }) => records.length)
  t.equal(sizes.reduce((sum, size) => sum + size), 20)
  t.ok(Math.max(...sizes) < 11 && sizes.length < 20, String(sizes))
})

test('the same id with the same content is recorded once, also by another run', async (t) => {
  const database = await mongo(t)
  const first = await audit(t, database)
  const id = randomUUID()
  const key = { 'idempotency-key': id }
  const together = await Promise.all(Array.from({ length: 8 }, () => first.post(record(), key)))
  const again = await first.post(record(), key)
  await first.app.close()
  const second = await audit(t, database)
  const restarted = await second.post(record(), key)

  t.same(new Set([...together, again, restarted].map(({ body }) => body)).size, 1)
  t.same((await second.blocks()).flatMap(({ records }) => records).map(({ id }) => id), [id])
})

test('the same id with other content is a 409', async (t) => {
  const { post, blocks } = await audit(t)
  const key = { 'idempotency-key': randomUUID() }
  const [first, second] = await Promise.all([post(record(), key), post(record({ actor: 'another' }), key)])
  const third = await post(record({ actor: 'another' }), key)
  t.same([first.statusCode, second.statusCode, third.statusCode], [201, 409, 409])
  t.equal((await blocks()).flatMap(({ records }) => records).length, 1)
})

test('what is queued when the service closes is stored', async (t) => {
  const { app, post, blocks } = await audit(t)
  const posts = Array.from({ length: 300 }, () => post(record()))
  const first = await Promise.race(posts)
  await app.close()
  const answers = await Promise.allSettled(posts)
  const stored = (await blocks()).flatMap(({ records }) => records.map(({ id }) => id))
  t.equal(first.statusCode, 201)
  const acknowledged = answers
    .filter((answer) => answer.status === 'fulfilled')
    .filter(({ value }) => value.statusCode === 201)
    .map(({ value }) => value.json().id)
  t.ok(acknowledged.length > 0)
  t.same(acknowledged.filter((id) => !stored.includes(id)), [])
})

test('a throttled insert is retried after the delay that the database asks for', embeddedOnly, async (t) => {
  const { post, blocks, failCommand } = await audit(t)
  await failCommand({ times: 3 }, { failCommands: ['insert'], errorCode: 16500, errorLabels: [] })
  t.equal((await post(record())).statusCode, 201)
  t.equal((await blocks()).length, 1)
})

test('a connection that breaks around an insert leaves one block', embeddedOnly, async (t) => {
  const { post, blocks, failCommand } = await audit(t)
  await failCommand({ times: 2 }, { failCommands: ['insert'], closeConnection: true })
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(record())))
  t.ok(answers.every(({ statusCode }) => statusCode === 201))
  const seqs = (await blocks()).flatMap(({ records }) => records.map(({ seq }) => seq))
  t.same(seqs, Array.from({ length: 50 }, (_, i) => i + 1))
})

test('an insert that the database refuses is a 503, and leaves no gap', embeddedOnly, async (t) => {
  const { post, blocks, failCommand, logs } = await audit(t)
  await post(record())
  await failCommand({ times: 1 }, { failCommands: ['insert'], errorCode: 13 })
  const refused = await post(record())
  t.match(refused.json(), { status: 503, code: 'DATABASE_UNAVAILABLE' })
  t.equal(refused.headers['retry-after'], '1')
  await post(record())
  t.same((await blocks()).flatMap(({ records }) => records.map(({ seq }) => seq)), [1, 2])
  t.notMatch(logs(), /an-id/)
})

test('a block that is stored but not acknowledged is sent again first', embeddedOnly, async (t) => {
  const { post, blocks, failCommand } = await audit(t)
  const writeConcernError = { code: 64, codeName: 'WriteConcernTimeout', errmsg: 'x' }
  await failCommand({ times: 2 }, { failCommands: ['insert'], writeConcernError })
  t.equal((await post(record())).statusCode, 201)
  t.equal((await post(record())).statusCode, 201)
  t.same((await blocks()).map(({ firstSeq }) => firstSeq), [1, 2])
})

test('an insert is retried while the server shuts down', embeddedOnly, async (t) => {
  const { post, blocks, failCommand } = await audit(t)
  await failCommand({ times: 2 }, { failCommands: ['insert'], errorCode: 91 })
  t.equal((await post(record())).statusCode, 201)
  t.equal((await blocks()).length, 1)
})

test('records whose place another block has are stored in a new chain', async (t) => {
  const { post, blocks, db } = await audit(t)
  await post(record())
  const first = (await blocks())[0]!
  const { chain } = first
  await db.collection<Block>('blocks')
    .insertOne({ ...first, _id: `${chain}:2`, firstSeq: 2, records: [], end: true })
  t.equal((await post(record())).statusCode, 201)
  const last = (await blocks()).at(-1)!
  t.not(last.chain, chain)
  t.equal(last.firstSeq, 1)
  t.ok(await db.collection<{ _id: string }>('chains').findOne({ _id: last.chain }), 'it is announced')
})

test('each block has the hash of the one before, and closing ends the chain', async (t) => {
  const { app, post, blocks } = await audit(t)
  for (let i = 0; i < 3; i++) await post(record({ actor: 'Zoë', disclosed: [] }))
  await app.close()
  const stored = await blocks()
  const hashes = stored.map((block) => blockHash(block, block.records.map(commitmentOf)))
  t.same(stored.map(({ previous }) => previous!.value()), [NO_PREVIOUS, ...hashes.slice(0, -1)])
  t.same(stored.map(({ end, records }) => end ?? records.length), [1, 1, 1, true])
  t.equal(stored.at(-1)!._id, `${stored[0]!.chain}:4`)
  const salts = stored.flatMap(({ records }) => records.map(({ salt }) => salt!.toString('hex')))
  t.equal(new Set(salts).size, 3)
  t.ok(salts.every((salt) => salt.length === 32))
})

test('records wait for a database that starts late', embeddedOnly, async (t) => {
  const before = await startEmbedded(t)
  const { port, dataDir } = before
  await before.close()
  const connection = `mongodb://127.0.0.1:${port}/`
  const client = new MongoClient(connection)
  t.teardown(() => client.close())
  const database = { connection, db: client.db('audit'), failCommand: async () => ({}) as never }
  const { app, post, blocks, logged } = await audit(t, database)

  t.equal((await app.inject('/health/ready')).statusCode, 503)
  const waiting = post(record())
  await logged('cannot connect to the database')
  await startEmbedded(t, dataDir, port)
  t.equal((await waiting).statusCode, 201)
  t.equal((await app.inject('/health/ready')).statusCode, 200)
  t.equal((await blocks()).length, 1)
})
