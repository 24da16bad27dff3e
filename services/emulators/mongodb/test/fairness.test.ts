import type { Document } from 'mongodb'
import { MongoClient } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

const size = 30_000

/** The longest time that another client waits for a ping while the work runs, in ms, and how many it sent. */
async function longestWait (
  other: MongoClient, work: () => Promise<unknown>
): Promise<{ longest: number, pings: number }> {
  const state = { running: true }
  const done = work().finally(() => { state.running = false })
  let longest = 0
  let pings = 0
  while (state.running) {
    const started = performance.now()
    await other.db('test').command({ ping: 1 })
    longest = Math.max(longest, performance.now() - started)
    pings++
  }
  await done
  return { longest, pings }
}

test('long work lets others run and ends after maxTimeMS', { timeout: 120_000 }, async (t) => {
  const { collection, database, db } = await start(t)
  const other = new MongoClient(`mongodb://127.0.0.1:${database.port}`)
  t.teardown(() => other.close())
  await other.db('test').command({ ping: 1 })
  const docs = Array.from(
    { length: size }, (_, i) => ({ n: (i * 7919) % size, text: `text ${i}`, l: [i, i + 1] })
  )
  const works: Record<string, () => Promise<unknown>> = {
    insert: () => collection.insertMany(docs),
    count: () => collection.countDocuments({ text: 'nothing' }),
    find: () => collection.find({ text: 'nothing' }).toArray(),
    sort: () => collection.find().sort({ n: 1 }).limit(1).skip(20_000).toArray(),
    update: () => collection.updateMany({}, { $set: { x: 1 } }),
    delete: () => collection.deleteMany({ n: { $gte: size / 2 } })
  }
  for (const [name, work] of Object.entries(works)) {
    const { pings } = await longestWait(other, work)
    // a slice is 10 ms: work that never yields lets one or two pings through
    t.ok(pings > 2, `${name}: ${pings} pings of another client were answered meanwhile`)
  }
  const timed: Document[] = [
    { count: 'things', query: { text: 'nothing' } }, { find: 'things', filter: { text: 'nothing' } },
    { find: 'things', sort: { n: 1 } },
    {
      aggregate: 'things',
      pipeline: [{ $match: { text: 'nothing' } }, { $group: { _id: 1, n: { $sum: 1 } } }],
      cursor: {}
    },
    { update: 'things', updates: [{ q: {}, u: { $inc: { x: 1 } }, multi: true }] }
  ]
  for (const command of timed) {
    t.match(await failure(db.command({ ...command, maxTimeMS: 5 })), { code: 50 }, JSON.stringify(command))
  }
})

test('a regular expression over long strings does not hold others up', async (t) => {
  const { collection, db } = await start(t)
  await collection.insertOne({ a: `${'a'.repeat(100_000)}!` })
  t.match(await failure(collection.findOne({ a: /^(a+)+$/ })), { code: 51091 })
  t.match(await failure(collection.findOne({ a: /a*a*a*$/ })), { code: 51156 })
  t.match(await db.command({ ping: 1 }), { ok: 1 })
})

test('a sort holds at most 100 MiB', { timeout: 120_000 }, async (t) => {
  const { collection } = await start(t)
  const pad = 'x'.repeat(1024 * 1024)
  for (let i = 0; i < 110; i++) await collection.insertOne({ k: `${i}${pad}` })
  t.match(await failure(collection.find().sort({ k: 1 }).toArray()), { code: 292 })
})

test('writes that meet while one of them searches are each done once', async (t) => {
  const { collection } = await start(t, { maxPoolSize: 10 })
  await collection.insertMany(Array.from({ length: 5000 }, (_, i) => ({ i })))
  const add = (): Promise<unknown> => collection.updateOne({ key: 'x' }, { $inc: { n: 1 } }, { upsert: true })
  await Promise.all(Array.from({ length: 10 }, add))
  t.match(await collection.find({ key: 'x' }).toArray(), { length: 1, 0: { n: 10 } })
})
