import type { Document } from 'mongodb'
import { ObjectId } from 'bson'
import { test } from 'tap'
import { start } from './helper.ts'

// a type byte and a name
const types = '\u0001-\u0012'
const field = new RegExp(`[${types}](\\w+)(?=\\0)`, 'g')
const id = 1 as unknown as ObjectId
const map = (...fields: Array<[string, unknown]>): Document => new Map(fields) as unknown as Document

test('fields with names that are whole numbers keep their order', async (t) => {
  const { collection } = await start(t)
  const inner = map(['b', 3], ['10', map(['z', 1], ['5', 2])], ['2', [map(['y', 1], ['1', 1])]])
  const stored = async (projection: Document = {}): Promise<string> => {
    const raw = await collection.findOne({ _id: id }, { raw: true, projection }) as unknown as Buffer
    return [...raw.toString('latin1').matchAll(field)].map(([, name]) => name).join()
  }
  await collection.insertOne(map(['_id', 1], ['b', inner], ['10', 'x'], ['2', 'y']))
  const names = '_id,b,b,10,z,5,2,0,y,1,10,2'
  t.equal(await stored(), names)
  await collection.updateOne({ _id: id }, { $set: { 'b.10.z': 4 } })
  t.equal(await stored(), names, 'after a $set within')
  await collection.updateOne({ _id: id }, { $set: { 'b.c': 1, 'b.7': 1 }, $unset: { 'b.10.5': 1 } })
  t.equal(await stored(), '_id,b,b,10,z,2,0,y,1,7,c,10,2', 'after fields were added and removed')
  t.equal(await stored({ b: 0 }), '_id,10,2')
  t.equal(await stored({ 'b.2': 1, 'b.b': 1, 2: 1 }), '_id,b,b,2,0,y,1,2')
  await collection.replaceOne({ _id: id }, map(['b', 1], ['3', 2], ['1', 3]))
  t.equal(await stored(), '_id,b,3,1')
  await collection.updateOne({ _id: id }, { $set: { 9: map(['q', 1], ['4', 1]) } })
  t.equal(await stored(), '_id,b,3,1,9,q,4')
})

test('equality of documents counts the order of names that are whole numbers', async (t) => {
  const { collection } = await start(t)
  await collection.insertMany(
    [map(['_id', 1], ['a', map(['b', 1], ['1', 1])]), map(['_id', 2], ['a', map(['1', 1], ['b', 1])])]
  )
  t.equal(await collection.countDocuments({ a: map(['b', 1], ['1', 1]) }), 1)
  await collection.createIndex({ a: 1 })
  t.equal(await collection.countDocuments({ a: map(['b', 1], ['1', 1]) }), 1)
})
