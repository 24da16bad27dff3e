import { Double, Long, ObjectId } from 'bson'
import type { Document } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

/** The `_id`s that a filter finds, with the documents in a collection without and then with an index. */
async function finder (
  t: Parameters<typeof start>[0], docs: Document[], index: Document
): Promise<(filter: Document) => Promise<unknown[]>> {
  const { collection, db } = await start(t)
  const indexed = db.collection('indexed')
  await indexed.createIndex(index as Record<string, 1>)
  const numbered = docs.map((doc, i) => ({ _id: i as unknown as ObjectId, ...doc }))
  await collection.insertMany(numbered)
  await indexed.insertMany(numbered)
  return async (filter) => {
    const plain = (await collection.find(filter).sort({ _id: 1 }).toArray()).map(({ _id }) => _id)
    const fast = (await indexed.find(filter).sort({ _id: 1 }).toArray()).map(({ _id }) => _id)
    t.same(fast, plain, `index and scan agree on ${JSON.stringify(filter)}`)
    return plain
  }
}

test('equality with null finds null and missing, not an empty array', async (t) => {
  const find = await finder(
    t, [{ a: null }, {}, { a: [] }, { a: [null] }, { a: 1 }, { a: { b: null } }], { a: 1 }
  )
  t.same(await find({ a: null }), [0, 1, 3])
  t.same(await find({ a: { $ne: null } }), [2, 4, 5])
  t.same(await find({ a: { $exists: false } }), [1])
  t.same(await find({ a: { $in: [null, 1] } }), [0, 1, 3, 4])
  t.same(await find({ a: { $nin: [null] } }), [2, 4, 5])
  t.same(await find({ a: { $gte: null } }), [0, 1, 3])
  t.same(await find({ a: { $gt: null } }), [])
  t.same(await find({ a: [] }), [2])
})

test('a nested path that ends in an array of scalars has no value there', async (t) => {
  const find = await finder(
    t, [{ a: [1, 2] }, { a: [] }, { a: [{ b: 1 }, {}] }, { a: 5 }, { a: { b: null } }, {}], { 'a.b': 1 }
  )
  t.same(await find({ 'a.b': null }), [2, 3, 4, 5])
  t.same(await find({ 'a.b': { $ne: null } }), [0, 1])
  t.same(await find({ 'a.b': { $exists: false } }), [0, 1, 3, 5])
  t.same(await find({ 'a.b': 1 }), [2])
})

test('comparisons stay within one type', async (t) => {
  const find = await finder(
    t,
    [
      { a: 1 }, { a: 'x' }, { a: true }, { a: new Date(5) }, { a: null }, { a: { b: 1 } }, { a: [7] },
      { a: new Double(NaN) }, { a: new Double(2.5) }, { a: Long.fromNumber(3) }
    ],
    { a: 1 }
  )
  t.same(await find({ a: { $gt: 0 } }), [0, 6, 8, 9])
  t.same(await find({ a: { $lt: 100 } }), [0, 6, 8, 9])
  t.same(await find({ a: { $gte: NaN } }), [7])
  t.same(await find({ a: { $lt: NaN } }), [])
  t.same(await find({ a: { $gt: 2 } }), [6, 8, 9])
  t.same(await find({ a: { $gte: '' } }), [1])
  t.same(await find({ a: { $gt: false } }), [2])
  t.same(await find({ a: { $lte: new Date(5) } }), [3])
  t.same(await find({ a: { $gt: {} } }), [5])
  t.same(await find({ a: 3 }), [9])
  t.same(await find({ a: new Double(2.5) }), [8])
})

test('an array matches by its elements and as a whole', async (t) => {
  const find = await finder(
    t,
    [{ a: [1, 2, 3] }, { a: [3, 9] }, { a: 2 }, { a: [[1, 2, 3]] }, { a: [{ x: 1, y: 2 }, { x: 2, y: 1 }] }],
    { a: 1 }
  )
  t.same(await find({ a: 2 }), [0, 2])
  t.same(await find({ a: [1, 2, 3] }), [0, 3])
  t.same(await find({ a: { $gt: 2, $lt: 3 } }), [0], 'another element may meet each bound')
  t.same(await find({ a: { $gt: 3, $lt: 4 } }), [1], 'another element may meet each bound')
  t.same(await find({ a: { $elemMatch: { $gt: 3, $lt: 10 } } }), [1])
  t.same(await find({ a: { $elemMatch: { $gt: 3, $lt: 4 } } }), [])
  t.same(await find({ 'a.x': 1, 'a.y': 1 }), [4])
  t.same(await find({ a: { $elemMatch: { x: 1, y: 1 } } }), [])
  t.same(await find({ a: { $elemMatch: { x: 1, y: 2 } } }), [4])
  t.same(await find({ a: { $ne: 2 } }), [1, 3, 4])
  t.same(await find({ a: { $nin: [1, 9] } }), [2, 3, 4])
  t.same(await find({ a: { $not: { $gt: 2 } } }), [2, 3, 4])
})

test('equality of documents counts the order of their fields', async (t) => {
  const find = await finder(
    t, [{ a: { x: 1, y: 2 } }, { a: { y: 2, x: 1 } }, { a: { x: new Double(1), y: Long.fromNumber(2) } }],
    { a: 1 }
  )
  t.same(await find({ a: { x: 1, y: 2 } }), [0, 2])
})

test('a regular expression matches strings, and its prefix bounds an index', async (t) => {
  const find = await finder(
    t, [{ a: 'abc' }, { a: 'ab' }, { a: 'ABC' }, { a: 5 }, { a: ['x', 'abd'] }, { a: 'b\nabc' }], { a: 1 }
  )
  t.same(await find({ a: /^abc*/ }), [0, 1, 4])
  t.same(await find({ a: /^ab/i }), [0, 1, 2, 4])
  t.same(await find({ a: { $regex: 'C', $options: 'i' } }), [0, 2, 5])
  t.same(await find({ a: { $in: [/^ab/, 5] } }), [0, 1, 3, 4])
  t.same(await find({ a: { $not: /b/ } }), [2, 3])
  t.same(await find({ a: /^[ab]/ }), [0, 1, 4, 5])
})

test('$or, $nor and $and combine', async (t) => {
  const find = await finder(t, [{ a: 1, b: 1 }, { a: 2, b: 2 }, { a: 3 }], { a: 1 })
  t.same(await find({ $or: [{ a: 1 }, { a: { $gt: 2 } }] }), [0, 2])
  t.same(await find({ $or: [{ a: 1 }, { b: 2 }] }), [0, 1])
  t.same(await find({ $nor: [{ a: 1 }, { b: 2 }] }), [2])
  t.same(await find({ $and: [{ a: { $gt: 1 } }, { a: { $lt: 3 } }] }), [1])
})

test('a malformed filter is refused with the words of the server', async (t) => {
  const { collection } = await start(t)
  const cases: Array<[Document, number, string]> = [
    [{ a: { $foo: 1 } }, 2, 'unknown operator: $foo'],
    [
      { $foo: 1 }, 2,
      "unknown top level operator: $foo. If you have a field name that starts with a '$' symbol, " +
        'consider using $getField or $setField.'
    ],
    [{ a: { $in: 1 } }, 2, '$in needs an array'],
    [{ $or: [] }, 2, '$and/$or/$nor must be a nonempty array'],
    [{ $or: 1 }, 2, '$or must be an array'],
    [{ $and: [1] }, 2, '$or/$and/$nor entries need to be full objects'],
    [{ a: { $not: 1 } }, 2, '$not needs a regex or a document'],
    [{ a: { $elemMatch: 1 } }, 2, '$elemMatch needs an Object'],
    [{ a: { $options: 'i' } }, 2, '$options needs a $regex'],
    [{ a: { $mod: [2, 1] } }, 115, '$mod is not supported by this database'],
    [{ $expr: { $eq: ['$a', 1] } }, 115, '$expr is not supported by this database']
  ]
  for (const [filter, code, message] of cases) {
    const error = await failure(collection.find(filter).toArray())
    t.equal(error.code, code, JSON.stringify(filter))
    t.equal(error.message, message)
  }
})

test('documents sort in the order of BSON types, arrays by their lowest or highest element', async (t) => {
  const { collection, db } = await start(t)
  const indexed = db.collection('indexed')
  await indexed.createIndex({ a: 1 })
  const docs = [
    { a: 5 }, { a: [1, 9] }, { a: 'x' }, {}, { a: null }, { a: [] }, { a: true }, { a: { b: 1 } },
    { a: new Double(4.5) }, { a: [4] }
  ].map((doc, i) => ({ _id: i as unknown as ObjectId, ...doc }))
  for (const target of [collection, indexed]) {
    await target.insertMany(docs)
    const ids = async (direction: 1 | -1): Promise<unknown[]> => (
      await target.find().sort({ a: direction }).toArray()
    ).map(({ _id }) => _id as unknown)
    const up = await ids(1)
    t.equal(up[0], 5, 'the empty array comes first')
    t.same(up.slice(1, 3).sort(), [3, 4])
    t.same(up.slice(3), [1, 9, 8, 0, 2, 7, 6])
    const down = await ids(-1)
    t.same(down.slice(0, 7), [6, 7, 2, 1, 0, 8, 9])
  }
})

test('a sort by parallel arrays is refused', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ a: [1], b: [2] })
  t.match(
    await failure(collection.find().sort({ a: 1, b: 1 }).toArray()),
    { code: 2, message: 'cannot sort with keys that are parallel arrays' }
  )
})

test('projections include or exclude; others are refused', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne(
    { _id: 1 as unknown as ObjectId, a: 1, b: { c: 2, d: 3 }, l: [{ x: 1, y: 1 }, { x: 2, y: 2 }] }
  )
  const one = async (projection: Document): Promise<Document | null> => collection.findOne({}, { projection })
  t.same(await one({ a: 1 }), { _id: 1, a: 1 })
  t.same(await one({ _id: 0, 'b.c': 1 }), { b: { c: 2 } })
  t.same(await one({ 'b.d': true, _id: 0 }), { b: { d: 3 } })
  t.same(await one({ b: 0, l: 0 }), { _id: 1, a: 1 })
  t.same(await one({ 'l.x': 1, _id: 0 }), { l: [{ x: 1 }, { x: 2 }] })
  t.same(await one({ 'l.x': 0, a: 0, b: 0 }), { _id: 1, l: [{ y: 1 }, { y: 2 }] })
  for (const projection of [
    { l: { $slice: 1 } }, { l: { $elemMatch: { x: 2 } } }, { 'l.$': 1 }, { b: { $add: ['$a', 2] } },
    { b: '$a' }, { b: { d: 1 } }
  ]) {
    t.match(await failure(one(projection)), { code: 115 }, JSON.stringify(projection))
  }
  t.same(await one({ _id: 1 }), { _id: 1 })
  t.same(await one({ _id: 0 }), { a: 1, b: { c: 2, d: 3 }, l: [{ x: 1, y: 1 }, { x: 2, y: 2 }] })
  t.match(
    await failure(one({ a: 1, b: 0 })),
    { code: 31254, message: 'Cannot do exclusion on field b in inclusion projection' }
  )
  t.match(
    await failure(one({ a: 0, b: 1 })),
    { code: 31253, message: 'Cannot do inclusion on field b in exclusion projection' }
  )
})
