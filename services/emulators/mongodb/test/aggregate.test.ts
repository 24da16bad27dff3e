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

test('a pipeline finds, sorts and keeps the elements of an array that meet a condition', async (t) => {
  const { collection, database } = await start(t)
  const large = 'x'.repeat(3000)
  await collection.insertMany([
    { n: 1, large, l: [{ a: 'x', b: { c: 1 } }, { a: 'y' }, { b: [{ c: 'x' }, { c: 'z' }] }, 'x', null] },
    { n: 2, large, l: [{ a: 'z', other: 'x' }] },
    { n: 3, large, l: [] },
    { n: 4, large }
  ])
  const run = (cond: unknown) => collection.aggregate([
    { $match: {} }, { $sort: { n: -1 } }, { $skip: 0 }, { $limit: 9 },
    { $project: { n: 1, l: { $filter: { input: '$l', cond } } } }
  ]).toArray()
  const kept = async (cond: unknown) => (await run(cond)).map(({ n, l }) => [n, l])
  const only = (...elements: unknown[]) => [[4, null], [3, []], [2, []], [1, elements]]
  const x = { $literal: 'x' }
  t.same(await kept({ $eq: ['$$this.a', x] }), only({ a: 'x', b: { c: 1 } }))
  t.same(await kept({ $eq: ['$$this', 'x'] }), only('x'))
  t.same(await kept({ $eq: ['$$this.b.c', 1] }), only({ a: 'x', b: { c: 1 } }), 'a double equals an int')
  t.same(await kept({ $in: [x, { $ifNull: ['$$this.b.c', []] }] }).catch(() => 'refused'), 'refused',
    'not every b.c is an array')
  const inArray = { $in: ['$$this.a', ['y', 'x']] }
  t.same(await kept(inArray), only({ a: 'x', b: { c: 1 } }, { a: 'y' }))
  t.same(await kept({ $or: [{ $eq: ['$$this.a', 'y'] }, { $eq: ['$$this.b', { $literal: { c: 1 } }] }] }),
    only({ a: 'x', b: { c: 1 } }, { a: 'y' }))
  t.same(await kept({ $and: [{ $eq: ['$$this.a', 'x'] }, { $eq: ['$$this.b.c', 2] }] }), only())
  t.same(await kept({ $eq: ['$$this.a', { $literal: null }] }), only(), 'a missing field is not null')
  const paged = collection.aggregate([{ $sort: { n: 1 } }, { $project: { n: 1 } }], { batchSize: 2 })
  t.match(await paged.next(), { n: 1, large: undefined })
  t.equal(database.cursors, 1)
  t.same((await paged.toArray()).map(({ n }) => n), [2, 3, 4])
  t.equal(database.cursors, 0)
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
