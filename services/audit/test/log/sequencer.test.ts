import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from 'mongodb'
import { test } from 'tap'
import { collectMetrics, takeMetrics } from '#common/telemetry/metrics.ts'
import { hasFailPoints, mongo } from '../../../common/test/mongo.ts'
import type { Block } from '../../register.ts'
import { sequence } from '../../sequence.ts'
import { audit, configOf, record } from '../app.ts'
import { batchesOf, checkLog, checkpointsOf, sequenced } from './log.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

test('every record gets its place in the log once', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const first = await audit(t, database)
  const answers = await Promise.all(Array.from({ length: 700 }, () => first.post(record())))
  await sequenced(db, 700)
  answers.push(await first.post(record()))
  await sequenced(db, 701)
  await first.app.close()
  const second = await audit(t, database)
  answers.push(await second.post(record()))
  await second.app.close()

  const { ids } = await checkLog(t, db)
  t.same(new Set(ids), new Set(answers.map((answer) => answer.json().id)))
  t.equal(ids.length, 702)
  const [batch] = (await batchesOf(db)).slice(-1)
  t.same(batch!.open.length, 0, 'chains that ended are not open')
})

test('replicas that sequence at the same time make one log', async (t) => {
  const database = await mongo(t)
  const replicas = await Promise.all([1, 2, 3].map(() => audit(t, database)))
  const ids: string[] = []
  for (let round = 0; round < 4; round++) {
    const posts = replicas.flatMap(({ post }) => Array.from({ length: 30 }, () => post(record())))
    ids.push(...(await Promise.all(posts)).map((answer) => answer.json().id))
    await sequenced(database.db, ids.length)
  }
  await Promise.all(replicas.map(({ app }) => app.close()))
  const log = await checkLog(t, database.db)
  t.equal(log.size, 360)
  t.same(new Set(log.ids), new Set(ids))
})

test('blocks from before the log enter it with the first batch', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const chain = await insertUnlinked(db)
  const { app, post } = await audit(t, database)
  await post(record())
  await sequenced(db, 3)
  await app.close()
  const { ids } = await checkLog(t, db)
  t.same(ids.toSorted(), [...ids].sort())
  const stored = await db.collection<Block>('blocks').find({ chain }).toArray()
  t.ok(stored.every(({ from, to, previous }) => from && to && !previous))
  t.ok(await db.collection<{ _id: string }>('chains').findOne({ _id: chain }), 'the chain is announced')
})

for (const command of ['insert', 'update']) {
  test(`a log whose ${command}s fail is repaired by whoever runs next`, embeddedOnly, async (t) => {
    const database = await mongo(t)
    const { db } = database
    const acknowledged: string[] = []
    for (let skipped = 0; skipped < 8; skipped++) {
      const { app, post, failCommand } = await audit(t, database)
      // Not temporary, so that it is not repeated
      await failCommand({ skip: skipped }, { failCommands: [command], errorCode: 13 })
      // Enough to fill tiles
      const answers = await Promise.all(Array.from({ length: 90 }, () => post(record())))
      const stored = answers.filter(({ statusCode }) => statusCode === 201)
      acknowledged.push(...stored.map((answer) => answer.json().id))
      await app.close()
      await failCommand('off', { failCommands: [command] })
    }
    const { app, post } = await audit(t, database)
    acknowledged.push((await post(record())).json().id)
    await sequenced(db, acknowledged.length)
    await app.close()
    const { ids } = await checkLog(t, db)
    t.same(ids.toSorted(), acknowledged.toSorted())
    t.ok(ids.length > 256)
  })
}

test('a chain that nobody continues is ended, and its replica moves on if it was only slow', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const stalled = await audit(t, database)
  await stalled.post(record())
  await sequenced(db, 1)
  const [{ chain }] = await stalled.blocks() as [Block]
  const longAgo = new Date(Date.now() - 2 * 60 * 60_000)
  await db.collection<Block>('blocks').updateOne({ chain }, { $set: { from: longAgo, to: longAgo } })
  const other = await audit(t, database)
  while (!(await other.blocks()).some(({ end }) => end)) await sleep(20)
  const answer = await stalled.post(record())
  t.equal(answer.statusCode, 201)
  await stalled.logged('the chain was ended, starting a new chain')
  await stalled.app.close()
  await other.app.close()
  const last = await audit(t, database)
  await last.post(record())
  await sequenced(db, 3)
  await last.app.close()
  const { ids } = await checkLog(t, db)
  t.equal(ids.filter((id) => id === answer.json().id).length, 1)
  t.notOk((await batchesOf(db)).at(-1)!.open.some((one) => one.chain === chain), 'its end is in the log')
})

test('blocks without a link that appear later enter the log when somebody says so', async (t) => {
  const database = await mongo(t)
  const { db, connection } = database
  const { app, post } = await audit(t, database)
  await post(record())
  await app.close()
  const chain = await insertUnlinked(db)
  const config = configOf(connection, db.databaseName)
  const logStream = { write () {} }
  const unwitnessed: string[] = []
  t.same(await sequence(config, { adoptUnlinked: false, logStream }), { size: 1, adopted: 0, unwitnessed })
  t.same(await sequence(config, { adoptUnlinked: true, logStream }), { size: 3, adopted: 1, unwitnessed })
  t.same(await sequence(config, { adoptUnlinked: true, logStream }), { size: 3, adopted: 0, unwitnessed })
  t.equal((await checkLog(t, db)).size, 3)
  t.ok((await db.collection<Block>('blocks').find({ chain }).toArray()).every(({ from }) => from))
})

/** Two blocks as they were stored before there was a log. */
async function insertUnlinked (db: Db) {
  const chain = randomUUID()
  const blocks = [1, 2].map((firstSeq) => {
    const old = { ...record(), id: randomUUID(), seq: firstSeq, createdDate: new Date(), operationId: 'o' }
    return { _id: `${chain}:${firstSeq}`, _shardKey: chain, chain, firstSeq, records: [old] }
  })
  await db.collection<{ _id: string }>('blocks').insertMany(blocks)
  return chain
}

test('tiles and checkpoints that are missing are made again from the records', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const first = await audit(t, database)
  await Promise.all(Array.from({ length: 300 }, () => first.post(record())))
  await first.app.close()
  await db.collection('tiles').deleteMany({})
  await db.collection('checkpoints').deleteMany({})
  const second = await audit(t, database)
  await sequenced(db, 300)
  await second.app.close()
  t.equal((await checkLog(t, db)).size, 300)
})

test('a missing block stops its chain alone, and its replica continues in another one', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const first = await audit(t, database)
  for (let i = 0; i < 4; i++) await first.post(record())
  await sequenced(db, 4)
  const [{ chain }] = await first.blocks() as [Block]
  // As after a crash of a replica whose last blocks nobody has sequenced
  for (const name of ['batches', 'tiles', 'checkpoints']) await db.collection(name).deleteMany({})
  await db.collection<Block>('blocks').deleteOne({ _id: `${chain}:3` })
  collectMetrics(true)
  t.teardown(() => collectMetrics(false))
  const second = await audit(t, database)
  await second.logged('a block is missing')
  t.match(second.logs(), `"block":"${chain}:4"`)
  await second.post(record())
  await sequenced(db, 3)
  while (!(await second.blocks()).some(({ chain: one, end }) => one === chain && end)) await sleep(20)
  t.equal((await first.post(record())).statusCode, 201)
  await first.logged('the chain was ended, starting a new chain')
  const others = [...new Set((await second.blocks()).map((block) => block.chain))]
  t.equal(others.length, 3)
  t.match(takeMetrics().filter(({ name }) => name === 'audit.log.damaged_chains'), [{ values: [1] }])
  await second.app.close()
})

test('nothing is signed on tiles that were changed', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const first = await audit(t, database)
  await first.post(record())
  await first.app.close()
  const before = await checkpointsOf(db)
  const tiles = db.collection<{ _id: string }>('tiles')
  await tiles.updateOne({ _id: '0/0' }, { $set: { data: Buffer.alloc(32) } })
  const second = await audit(t, database)
  await second.logged('records cannot be added to the log')
  t.equal((await second.post(record())).statusCode, 201, 'records are stored all the same')
  await second.app.close()
  t.same(await checkpointsOf(db), before)
  t.match(second.logs(), /the tiles do not lead to checkpoint 1/)
})
