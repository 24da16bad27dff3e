import { Binary, Double, Int32, Long, ObjectId } from 'bson'
import { MongoBulkWriteError } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

const id = (n: number): ObjectId => n as unknown as ObjectId

test('every type that is stored comes back as it went', async (t) => {
  const { collection } = await start(t, { promoteValues: false })
  const doc = {
    _id: new ObjectId(),
    int: new Int32(5),
    double: new Double(5),
    long: Long.fromNumber(5),
    text: 'é\0x',
    date: new Date(5),
    yes: true,
    nothing: null,
    binary: new Binary(Buffer.from([1, 2]), 0),
    z: 1,
    a: { y: 1, b: [] }
  }
  await collection.insertOne(doc)
  const found = (await collection.findOne({ int: 5 }))!
  t.same(Object.keys(found), Object.keys(doc))
  t.same(found.int, doc.int)
  t.same(found.double, doc.double)
  t.same(found.long, doc.long)
  t.same(found.binary, doc.binary)
})

test('an ordered bulk stops at the first failure, an unordered one does not', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ _id: id(2) })
  const docs = [1, 2, 3].map((n) => ({ _id: id(n) }))
  const ordered = await failure(collection.insertMany(docs)) as unknown as MongoBulkWriteError
  t.ok(ordered instanceof MongoBulkWriteError)
  t.equal(ordered.insertedCount, 1)
  t.match(
    ordered.writeErrors,
    [
      {
        code: 11000,
        index: 1,
        errmsg: 'E11000 duplicate key error collection: test.things index: _id_ dup key: { _id: 2 }'
      }
    ]
  )
  t.equal(await collection.countDocuments(), 2)
  const unordered = await failure(
    collection.insertMany([...docs, { _id: id(4) }], { ordered: false })
  ) as unknown as MongoBulkWriteError
  t.match(unordered.writeErrors, [{ index: 0 }, { index: 1 }])
  t.equal(unordered.insertedCount, 2)
  const mixed = await collection.bulkWrite([
    { insertOne: { document: { _id: id(10) } } },
    { updateOne: { filter: { _id: id(10) }, update: { $set: { a: 1 } } } },
    { updateMany: { filter: {}, update: { $set: { b: 1 } } } },
    { replaceOne: { filter: { _id: id(11) }, replacement: { c: 1 }, upsert: true } },
    { deleteOne: { filter: { _id: id(1) } } },
    { deleteMany: { filter: { _id: { $in: [id(2), id(3)] } } } }
  ])
  t.match(
    mixed,
    {
      insertedCount: 1,
      matchedCount: 6,
      modifiedCount: 6,
      upsertedCount: 1,
      upsertedIds: { 3: 11 },
      deletedCount: 3
    }
  )
})

test('the error of a duplicate key has its pattern and its value', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ a: 1, b: -1 }, { unique: true })
  await collection.insertOne({ a: 1, b: 'x' })
  t.match(await failure(collection.insertOne({ a: new Double(1), b: 'x' })), {
    code: 11000,
    message: 'E11000 duplicate key error collection: test.things index: a_1_b_-1 dup key: { a: 1.0, b: "x" }',
    keyPattern: { a: 1, b: -1 },
    keyValue: { a: 1, b: 'x' }
  })
  await collection.insertOne({ a: 2 })
  t.match(await failure(collection.insertOne({ a: 2, b: null })), { code: 11000 }, 'missing counts as null')
  t.match(await failure(collection.updateOne({ a: 2 }, { $set: { a: 1, b: 'x' } })), { code: 11000 })
  t.equal(await collection.countDocuments(), 2)
})

test('a unique index over an array counts each element', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ tags: 1 }, { unique: true })
  await collection.insertOne({ tags: ['a', 'b', 'b'] })
  t.match(await failure(collection.insertOne({ tags: ['c', 'b'] })), { code: 11000, keyValue: { tags: 'b' } })
  await collection.insertOne({ tags: ['c'] })
})

test('what cannot be an _id is refused', async (t) => {
  const { collection } = await start(t)
  t.match(
    await failure(collection.insertOne({ _id: [1] as unknown as ObjectId })),
    { code: 53, message: "The '_id' value cannot be of type array" }
  )
  t.match(await failure(collection.insertOne({ _id: /x/ as unknown as ObjectId })), { code: 53 })
  await collection.insertOne({ a: 1, _id: id(5) }, {})
  t.same(Object.keys((await collection.findOne({ _id: id(5) }))!), ['_id', 'a'], 'the _id comes first')
})

test('a document above 16 MiB is refused', async (t) => {
  const { db } = await start(t)
  const oversized = { _id: 1, a: 'x'.repeat(16 * 1024 * 1024) }
  t.match(
    await db.command({ insert: 'things', documents: [oversized] }),
    { n: 0, writeErrors: [{ index: 0, code: 10334 }] }
  )
  await db.command({ insert: 'things', documents: [{ _id: 1, a: 'x'.repeat(16 * 1024 * 1024 - 30) }] })
  t.equal(await db.collection('things').countDocuments(), 1)
})

test('writes without acknowledgement arrive', async (t) => {
  const { collection } = await start(t, { maxPoolSize: 1 })
  await collection.insertOne({ a: 1 }, { writeConcern: { w: 0 } })
  await collection.insertMany([{ a: 2 }, { a: 3 }], { writeConcern: { w: 0 } })
  t.equal(await collection.countDocuments(), 3)
})

test('a write concern that one server cannot meet is refused', async (t) => {
  const { collection } = await start(t)
  t.match(await failure(collection.insertOne({}, { writeConcern: { w: 2 } })), { code: 2 })
  await collection.insertOne({}, { writeConcern: { w: 1, wtimeoutMS: 5 } })
})
