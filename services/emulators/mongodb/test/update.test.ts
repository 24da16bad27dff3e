import type { Document, UpdateFilter } from 'mongodb'
import { Double, Int32, Long, ObjectId } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

const id = 1 as unknown as ObjectId

test('each operator changes a document as the manual says', async (t) => {
  const { collection } = await start(t)
  const cases: Array<[Document, Document, Document]> = [
    [{ a: 1 }, { $set: { a: 2, 'b.c': 3 } }, { a: 2, b: { c: 3 } }],
    [{ a: 1, b: { c: 1, d: 2 } }, { $unset: { a: '', 'b.c': '' } }, { b: { d: 2 } }],
    [{ a: [{ x: 1 }] }, { $unset: { 'a.x': '' } }, { a: [{ x: 1 }] }],
    [{ a: 1 }, { $inc: { a: 2, b: 3 } }, { a: 3, b: 3 }],
    [{}, { $push: { a: 1 } }, { a: [1] }],
    [{ a: [1] }, { $push: { a: { $each: [2, [3]] } } }, { a: [1, 2, [3]] }],
    [{ a: 1 }, { $set: { z: 1, b: 2, a: 3 } }, { a: 3, b: 2, z: 1 }],
    [{ a: 1 }, { $set: {} }, { a: 1 }]
  ]
  for (const [before, change, after] of cases) {
    await collection.deleteMany({})
    await collection.insertOne({ _id: id, ...before })
    await collection.updateOne({ _id: id }, change as UpdateFilter<Document>)
    const { _id, ...found } = (await collection.findOne())!
    t.equal(JSON.stringify(found), JSON.stringify(after), JSON.stringify(change))
  }
})

test('numbers keep their type, and the wider one wins', async (t) => {
  const { collection } = await start(t, { promoteValues: false })
  const inc = async (start: unknown, by: unknown): Promise<unknown> => {
    await collection.deleteMany({})
    await collection.insertOne({ _id: id, a: start })
    await collection.updateOne({ _id: id }, { $inc: { a: by } } as Document)
    return (await collection.findOne())!.a
  }
  t.same(await inc(new Int32(1), new Int32(2)), new Int32(3))
  t.same(await inc(new Int32(2147483647), new Int32(1)), Long.fromNumber(2147483648))
  t.same(await inc(new Int32(1), new Double(2)), new Double(3))
  t.same(await inc(new Int32(1), Long.fromNumber(2)), Long.fromNumber(3))
  t.match(await failure(inc(Long.fromNumber(Number.MAX_SAFE_INTEGER), new Int32(1))), { code: 2 })
})

test('counts tell matched from modified', async (t) => {
  const { collection } = await start(t)
  await collection.insertMany([{ a: 1 }, { a: 1 }, { a: 2 }])
  t.match(
    await collection.updateMany({ a: { $gte: 1 } }, { $set: { a: 2 } }), { matchedCount: 3, modifiedCount: 2 }
  )
  t.match(
    await collection.updateOne({ a: 7 }, { $set: { a: 2 } }),
    { matchedCount: 0, modifiedCount: 0, upsertedCount: 0 }
  )
  t.match(await collection.replaceOne({ a: 2 }, { b: 1 }), { matchedCount: 1, modifiedCount: 1 })
  t.match(await collection.deleteOne({ a: 2 }), { deletedCount: 1 })
  t.equal(await collection.countDocuments(), 2)
})

test('an upsert takes its fields from the equalities of the filter', async (t) => {
  const { collection } = await start(t)
  const first = await collection.updateOne(
    { _id: id, 'a.b': 2, c: { $gt: 1 }, d: { $eq: 4 } }, { $set: { e: 5 }, $setOnInsert: { f: 6 } },
    { upsert: true }
  )
  t.match(first, { upsertedCount: 1, upsertedId: 1, matchedCount: 0 })
  t.same(await collection.findOne(), { _id: 1, a: { b: 2 }, d: 4, e: 5, f: 6 })
  await collection.updateOne({ _id: id }, { $setOnInsert: { f: 7 } }, { upsert: true })
  t.equal((await collection.findOne())!.f, 6)
  const second = await collection.replaceOne({ k: 1 }, { v: 1 }, { upsert: true })
  t.ok(second.upsertedId instanceof ObjectId)
  t.same(await collection.findOne({ v: 1 }), { _id: second.upsertedId, v: 1 })
})

test('what cannot be done is refused with the code of the server', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ _id: id, a: 1, s: 'x', l: [1] })
  const update = async (change: Document): Promise<{ code: number, message: string }> => failure(
    collection.updateOne({ _id: id }, change as UpdateFilter<Document>)
  )
  t.match(
    await update({ $foo: { a: 1 } }),
    {
      code: 9,
      message: 'Unknown modifier: $foo. Expected a valid update modifier or ' +
        'pipeline-style update specified as an array'
    }
  )
  t.match(
    await update({ $set: { _id: 2 } }),
    { code: 66, message: "Performing an update on the path '_id' would modify the immutable field '_id'" }
  )
  t.match(
    await update({ $inc: { s: 1 } }),
    {
      code: 14,
      message: 'Cannot apply $inc to a value of non-numeric type. ' +
        "{_id: 1} has the field 's' of non-numeric type string"
    }
  )
  t.match(
    await update({ $inc: { a: 'x' } }),
    { code: 14, message: 'Cannot increment with non-numeric argument: {a: "x"}' }
  )
  t.match(
    await update({ $set: { 'a.b': 1 } }), { code: 28, message: "Cannot create field 'b' in element {a: 1}" }
  )
  t.match(
    await update({ $push: { a: 1 } }),
    { code: 2, message: "The field 'a' must be an array but is of type int in document {_id: 1}" }
  )
  t.match(
    await update({ $set: { a: 1 }, $inc: { a: 1 } }),
    { code: 40, message: "Updating the path 'a' would create a conflict at 'a'" }
  )
  t.match(await update({ $set: { 'a.b': 1, a: 1 } }), { code: 40 })
  t.match(await update({ $set: 5 }), { code: 9 })
  t.match(await update({ $set: { 'a..b': 1 } }), { code: 56 })
  t.match(
    await failure(collection.replaceOne({ _id: id }, { _id: 2 })),
    {
      code: 66,
      message: "After applying the update, the (immutable) field '_id' was found " +
        'to have been altered to _id: 2'
    }
  )
  t.match(
    await failure(collection.updateMany({}, { $set: { l: 'x'.repeat(16 * 1024 * 1024) } })),
    { code: /10334|17419/ }
  )
  t.same(await collection.findOne(), { _id: 1, a: 1, s: 'x', l: [1] }, 'nothing changed')
})

test('setting _id to what it is changes nothing', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ _id: id, a: 1 })
  t.match(await collection.updateOne({ _id: id }, { $set: { _id: id, a: 2 } }), { modifiedCount: 1 })
})
