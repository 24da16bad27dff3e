import type { Document } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

test('pipelines that search and count answer as the manual says', async (t) => {
  const { collection } = await start(t)
  await collection.insertMany(
    [
      { k: 'a', v: 1 }, { k: 'b', v: 5 }, { k: 'a', v: 2.5 }, { v: 'x' }
    ].map((doc, i) => ({ _id: i + 1 as never, ...doc }))
  )
  const run = async (...pipeline: Document[]): Promise<Document[]> => collection.aggregate(pipeline).toArray()
  t.same(await run({ $match: { k: 'a' } }, { $project: { v: 1, _id: 0 } }), [{ v: 1 }, { v: 2.5 }])
  t.same(await run({ $match: { k: 'a' } }, { $match: { v: 1 } }), [{ _id: 1, k: 'a', v: 1 }])
  t.same(
    await run({ $sort: { v: -1 } }, { $skip: 1 }, { $limit: 2 }, { $project: { _id: 1 } }),
    [{ _id: 2 }, { _id: 3 }]
  )
  t.same(await run({ $count: 'n' }), [{ n: 4 }])
  t.same(await run({ $match: { k: 'zz' } }, { $count: 'n' }), [])
  t.same(await run({ $group: { _id: null, n: { $sum: 1 } } }), [{ _id: null, n: 4 }])
  t.equal(await collection.countDocuments({ k: 'a' }), 2)
  t.equal(await collection.countDocuments({}, { skip: 1, limit: 2 }), 2)
})

test('a $match and a $sort in front use an index', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ a: 1, b: 1 })
  await collection.insertMany(Array.from({ length: 100 }, (_, i) => ({ a: i % 10, b: i })))
  const explained = await collection.aggregate(
    [{ $match: { a: 3 } }, { $sort: { b: -1 } }, { $limit: 2 }]
  ).explain('executionStats')
  t.match(explained, { executionStats: { totalKeysExamined: 2, nReturned: 2 } })
  t.match(JSON.stringify(explained), /IXSCAN/)
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
  t.equal(await refused({ $out: 'x' }), 115)
  t.equal(await refused({ $changeStream: {} }), 115)
  t.match(await failure(db.command({ aggregate: 'things', pipeline: [] })), { code: 9 })
})

test('stages, accumulators and expressions that are left out are refused', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ a: 1 })
  const left: Document[] = [
    { $unwind: '$a' }, { $lookup: { from: 'x', localField: 'a', foreignField: 'b', as: 'c' } },
    { $set: { b: 1 } },
    { $addFields: { b: 1 } }, { $unset: 'a' }, { $sortByCount: '$a' }, { $bucket: {} }, { $facet: {} },
    { $merge: 'x' },
    { $replaceRoot: { newRoot: '$a' } }, { $setWindowFields: {} }, { $unionWith: 'x' },
    { $sample: { size: 1 } },
    { $group: { _id: null, n: { $avg: '$a' } } }, { $group: { _id: null, n: { $push: '$a' } } },
    { $group: { _id: null, n: { $sum: { $add: ['$a', 1] } } } }, { $group: { _id: { a: '$a' } } },
    { $group: { _id: '$a', n: { $sum: 1 } } }, { $group: { _id: null, n: { $max: '$a' } } },
    { $group: { _id: '$$NOW' } }, { $project: { b: { $toUpper: '$a' } } }, { $project: { b: '$a' } }
  ]
  for (const stage of left) {
    t.match(await failure(collection.aggregate([stage]).toArray()), { code: 115 }, JSON.stringify(stage))
  }
  const order = [{ $limit: 1 }, { $match: { a: 1 } }]
  t.match(await failure(collection.aggregate(order).toArray()), { code: 115 }, 'another order of stages')
})
