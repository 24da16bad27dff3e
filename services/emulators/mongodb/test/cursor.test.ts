import { Long } from 'mongodb'
import { test } from 'tap'
import { Cursors } from '../commands/cursors.ts'
import type { Finder } from '../query/finder.ts'
import { failure, start } from './helper.ts'

test('a cursor gives all documents over many batches, the first of 101', async (t) => {
  const { collection, db, database } = await start(t)
  await collection.insertMany(Array.from({ length: 1000 }, (_, i) => ({ i })))
  const first = await db.command({ find: 'things' })
  t.equal(first.cursor.firstBatch.length, 101)
  t.equal(first.cursor.ns, 'test.things')
  t.equal(database.cursors, 1)
  t.match(await db.command({ serverStatus: 1 }), { metrics: { cursor: { open: { total: 1 } } } })
  t.match(
    await db.command({ killCursors: 'things', cursors: [first.cursor.id, Long.fromNumber(5)] }),
    { cursorsKilled: [first.cursor.id], cursorsNotFound: [5] }
  )
  t.match(
    await failure(db.command({ getMore: first.cursor.id, collection: 'things' })),
    { code: 43, codeName: 'CursorNotFound' }
  )
  for (const batchSize of [1, 7, 100, 2000]) {
    t.equal(
      (await collection.find().batchSize(batchSize).toArray()).length, 1000
    )
  }
  t.equal((await collection.find().sort({ i: -1 }).batchSize(300).toArray()).at(-1)!.i, 0)
  t.equal((await db.command({ find: 'things', batchSize: 0 })).cursor.firstBatch.length, 0)
  t.match(
    await db.command({ find: 'things', batchSize: 2, singleBatch: true }),
    { cursor: { id: 0, firstBatch: [{ i: 0 }, { i: 1 }] } }
  )
})

test('a reply holds no more than 16 MiB', async (t) => {
  const { collection, db } = await start(t)
  for (let i = 0; i < 5; i++) await collection.insertOne({ i, text: 'x'.repeat(6 * 1024 * 1024) })
  t.equal((await db.command({ find: 'things' })).cursor.firstBatch.length, 2)
  t.equal((await collection.find().toArray()).length, 5)
})

test('a cursor goes on from its last key when documents change meanwhile', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ k: 1 })
  await collection.insertMany(Array.from({ length: 50 }, (_, i) => ({ k: i * 2 })))
  const cursor = collection.find().sort({ k: 1 }).batchSize(10)
  const seen: number[] = []
  for (let i = 0; i < 10; i++) seen.push((await cursor.next())!.k)
  await collection.deleteMany({ k: { $gte: 18, $lt: 30 } })
  await collection.insertMany([{ k: 1 }, { k: 31 }])
  for await (const { k } of cursor) seen.push(k)
  t.same(seen.slice(0, 12), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 30, 31])
  t.equal(seen.length, new Set(seen).size)
})

test('a cursor over a sort in memory leaves out what no longer matches', async (t) => {
  const { collection } = await start(t)
  await collection.insertMany(Array.from({ length: 50 }, (_, i) => ({ k: i, on: true })))
  const cursor = collection.find({ on: true }).sort({ k: -1 }).batchSize(10)
  await cursor.next()
  await collection.updateOne({ k: 5 }, { $set: { on: false } })
  await collection.deleteOne({ k: 6 })
  t.equal((await cursor.toArray()).length, 47)
})

test('an open cursor lets others write, and drop the database', async (t) => {
  const { collection, database, db } = await start(t)
  await collection.insertMany(Array.from({ length: 300 }, (_, i) => ({ i })))
  const cursor = collection.find()
  await cursor.next()
  await collection.updateMany({}, { $set: { x: 1 } })
  t.equal(database.cursors, 1)
  await db.dropDatabase()
  t.equal(database.cursors, 0)
  await t.rejects((async () => { for await (const _ of cursor) t.ok(_) })(), { code: 43 })
})

test('an idle cursor dies after ten minutes', (t) => {
  const cursors = new Cursors()
  const finder = { release () {} } as Finder
  const usedAt = Date.now()
  cursors.open({ namespace: 'a.b', finder, next: undefined, user: undefined, usedAt, busy: false })
  cursors.expire(Date.now() + 9 * 60 * 1000)
  t.equal(cursors.size, 1)
  cursors.expire(Date.now() + 11 * 60 * 1000)
  t.equal(cursors.size, 0)
  t.end()
})
