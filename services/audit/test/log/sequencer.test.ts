import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { hasFailPoints, mongo } from '../../../common/test/mongo.ts'
import type { Block } from '../../register.ts'
import { audit, record } from '../app.ts'
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
  const chain = randomUUID()
  const blocks = [1, 2].map((firstSeq) => {
    const old = { ...record(), id: randomUUID(), seq: firstSeq, createdDate: new Date(), operationId: 'o' }
    return { _id: `${chain}:${firstSeq}`, _shardKey: chain, chain, firstSeq, records: [old] }
  })
  await db.collection<{ _id: string }>('blocks').insertMany(blocks)
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
    for (let skipped = 0; skipped < 6; skipped++) {
      const { app, post, failCommand } = await audit(t, database)
      await post(record())
      // Not temporary, so that it is not repeated
      await failCommand({ skip: skipped }, { failCommands: [command], errorCode: 13 })
      await app.close()
      await failCommand('off', { failCommands: [command] })
    }
    const { app, post } = await audit(t, database)
    await post(record())
    await sequenced(db, 7)
    await app.close()
    const { size } = await checkLog(t, db)
    t.equal(size, 7)
  })
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
