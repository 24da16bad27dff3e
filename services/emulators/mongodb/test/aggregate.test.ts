import type { Document } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

test('the pipelines with which drivers count answer as the manual says', async (t) => {
  const { collection } = await start(t)
  await collection.insertMany([{ k: 'a', v: 1 }, { k: 'b', v: 5 }, { k: 'a', v: 2.5 }, { v: 'x' }])
  const group = { $group: { _id: null, n: { $sum: 1 } } }
  const run = async (...pipeline: Document[]): Promise<Document[]> => collection.aggregate(pipeline).toArray()
  t.same(await run(group), [{ _id: null, n: 4 }])
  t.same(await run({ $match: { k: 'a' } }, group), [{ _id: null, n: 2 }])
  t.same(await run({ $match: { k: 'zz' } }, group), [])
  t.same(await run({ $match: {} }, { $skip: 1 }, { $limit: 2 }, group), [{ _id: null, n: 2 }])
  t.equal(await collection.countDocuments({ k: 'a' }), 2)
  t.equal(await collection.countDocuments({ k: 'a' }, { skip: 1, limit: 5 }), 1)
  t.equal(await collection.countDocuments({}, { skip: 1, limit: 2 }), 2)
})

test('a malformed pipeline is refused with the code of the server', async (t) => {
  const { collection, db } = await start(t)
  await collection.insertOne({ a: 1 })
  const refused = async (...pipeline: Document[]): Promise<number> => (
    await failure(collection.aggregate(pipeline).toArray())
  ).code
  t.equal(await refused({ $nope: 1 }), 40324)
  t.equal(await refused({ $match: {}, $limit: 1 }), 40323)
  t.equal(await refused({ $limit: 0 }), 15958)
  t.equal(await refused({ $group: { n: { $sum: 1 } } }), 15955)
  t.equal(await refused({ $match: { a: { $nope: 1 } } }), 2)
  const pipeline = [{ $group: { _id: 1, n: { $sum: 1 } } }]
  t.match(await failure(db.command({ aggregate: 'things', pipeline })), { code: 9 })
})
