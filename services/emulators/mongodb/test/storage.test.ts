import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { pino } from 'pino'
import { test } from 'tap'
import { startDatabase } from '../server.ts'
import { keyParts } from '../bson/keys.ts'
import { encode } from '../bson/encoding.ts'
import type { IndexSpec } from '../storage/indexes.ts'
import { Storage } from '../storage/storage.ts'
import { dataDirectory } from './helper.ts'

const indexOn = (path: string, unique = false): IndexSpec => (
  { name: `${path}_1`, parts: keyParts({ [path]: 1 }), unique, seconds: undefined }
)

test('a commit that fails undoes what was written, and fails for all who wait', async (t) => {
  const storage = new Storage(dataDirectory(t))
  t.teardown(() => storage.close())
  const database = storage.create('test')
  const insert = (n: number): void => {
    storage.collection('test', 'things')!.insert(encode({ _id: n, l: [n] }), { _id: n, l: [n] })
  }
  database.createCollection('things')
  storage.collection('test', 'things')!.createIndex(indexOn('l'))
  storage.flush()
  const before = storage.commits

  const commit = database.commit
  database.commit = () => { throw new Error('disk full') }
  insert(1)
  database.createCollection('more')
  const told = [
    new Promise((resolve) => storage.whenCommitted(resolve)),
    new Promise((resolve) => storage.whenCommitted(resolve))
  ]
  t.match(await Promise.all(told), [{ message: 'disk full' }, { message: 'disk full' }])
  t.equal(storage.commits, before)
  t.equal(storage.collection('test', 'things')!.count, 0)
  t.equal(storage.collection('test', 'more'), undefined)
  t.equal(storage.collection('test', 'things')!.indexes[1]!.multikey, false)

  database.commit = commit
  insert(1)
  t.equal(await new Promise((resolve) => storage.whenCommitted(resolve as () => void)), undefined)
  t.equal(storage.collection('test', 'things')!.count, 1)
  t.equal(storage.collection('test', 'things')!.indexes[1]!.multikey, true)
  t.equal(storage.commits, before + 1)
})

test('a write that fails leaves nothing behind, its neighbours stay', (t) => {
  const storage = new Storage(dataDirectory(t))
  t.teardown(() => storage.close())
  const collection = storage.create('test').createCollection('things')
  collection.createIndex(indexOn('a'))
  collection.createIndex(indexOn('u', true))
  collection.insert(encode({ _id: 1, a: 1, u: 1 }), { _id: 1, a: 1, u: 1 })
  t.throws(
    () => collection.insert(encode({ _id: 2, a: [1, 2], u: 1 }), { _id: 2, a: [1, 2], u: 1 }), { code: 11000 }
  )
  collection.insert(encode({ _id: 3, a: 1, u: 3 }), { _id: 3, a: 1, u: 3 })
  t.equal(collection.count, 2)
  t.equal(collection.indexes[1]!.multikey, false)
  t.equal(
    collection.entries(collection.indexes[1]!, { lo: Buffer.from([0]), hi: Buffer.from([0xff]) }, 100), 2
  )
  t.end()
})

test('a data file of an earlier version is read and written', async (t) => {
  const dataDir = dataDirectory(t)
  copyFileSync(join(import.meta.dirname, 'data', 'earlier.sqlite'), join(dataDir, 'test.sqlite'))
  const database = await startDatabase({ dataDir, logger: pino({ level: 'silent' }) })
  const client = new MongoClient(`mongodb://127.0.0.1:${database.port}`)
  t.teardown(async () => {
    await client.close()
    await database.close()
  })
  const collection = client.db('test').collection<{ _id: number, [name: string]: unknown }>('things')
  t.same((await collection.indexes()).map(({ name }) => name), ['_id_', 'a_1_b_-1', 'l_1', 'at_1'],
    'an index of a kind that is no longer supported is deleted')
  t.match(await collection.find({ l: 2 }).hint('l_1').toArray(), [{ _id: 1, a: 1, b: 'x', l: [1, 2] }])
  t.match(await collection.find({ a: { $gt: 1 }, p: 5 }).toArray(), [{ _id: 2 }])
  await t.rejects(collection.insertOne({ _id: 3, a: 1, b: 'x' }), { code: 11000 })
  await collection.insertOne({ _id: 3, a: 3, b: 'z', l: [2] })
  t.equal(await collection.countDocuments({ l: 2 }), 2)
  t.equal(database.expire(), 1)
  t.equal(await collection.countDocuments(), 2)
})
