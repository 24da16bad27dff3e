import type { Document } from 'mongodb'
import { test } from 'tap'
import { failure, start } from './helper.ts'

test('indexes are created once and listed as they are', async (t) => {
  const { collection, db } = await start(t)
  t.equal(await collection.createIndex({ a: 1, b: -1 }, { unique: true }), 'a_1_b_-1')
  t.match(
    await db.command(
      { createIndexes: 'things', indexes: [{ key: { a: 1, b: -1 }, name: 'a_1_b_-1', unique: true }] }
    ),
    { numIndexesBefore: 2, numIndexesAfter: 2, note: 'all indexes already exist' }
  )
  await collection.createIndex({ at: 1 }, { expireAfterSeconds: 60, name: 'ttl' })
  t.same(await collection.indexes(), [
    { v: 2, key: { _id: 1 }, name: '_id_' },
    { v: 2, key: { a: 1, b: -1 }, name: 'a_1_b_-1', unique: true },
    { v: 2, key: { at: 1 }, name: 'ttl', expireAfterSeconds: 60 }
  ])
})

test('indexes are dropped by name, by key, or all but that of _id', async (t) => {
  const { collection, db } = await start(t)
  await collection.insertMany(Array.from({ length: 300 }, (_, i) => ({ a: i, b: i, c: [i, 1] })))
  for (const name of ['a', 'b', 'c', 'd']) await collection.createIndex({ [name]: 1 })
  const cursor = collection.find({ c: 1 }).hint('c_1')
  await cursor.next()
  t.match(await collection.dropIndex('a_1'), { nIndexesWas: 5 })
  await db.command({ dropIndexes: 'things', index: { b: 1 } })
  t.same((await collection.indexes()).map(({ name }) => name), ['_id_', 'c_1', 'd_1'])
  t.match(await failure(collection.dropIndex('a_1')), { code: 27 })
  t.match(await failure(collection.dropIndex('_id_')), { code: 72 })
  t.match(await failure(db.command({ dropIndexes: 'things', index: ['c_1'] })), { code: 115 })
  await collection.dropIndexes()
  t.same((await collection.indexes()).map(({ name }) => name), ['_id_'])
  t.match(await failure(cursor.toArray()), { code: 175 }, 'a cursor over a dropped index ends')
  t.equal(await collection.countDocuments({ c: 1 }), 300)
  await collection.createIndex({ a: 1 }, { unique: true })
  t.match(await failure(collection.insertOne({ a: 5 })), { code: 11000 })
})

test('an index that conflicts with another is refused', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ a: 1 })
  t.match(await failure(collection.createIndex({ a: 1 }, { unique: true })), { code: 85 })
  t.match(
    await failure(collection.createIndex({ a: 1 }, { name: 'other' })),
    { code: 85, message: 'Index already exists with a different name: a_1' }
  )
  t.match(await failure(collection.createIndex({ b: 1 }, { name: 'a_1' })), { code: 86 })
  t.match(await failure(collection.createIndex({ a: 'x' as unknown as 1 })), { code: 67 })
  t.match(await failure(collection.createIndex({ a: 1, b: 1 }, { expireAfterSeconds: 5 })), { code: 67 })
  await collection.insertOne({ x: [1], y: [2] })
  t.match(await failure(collection.createIndex({ x: 1, y: 1 })), { code: 171 })
  await collection.insertMany([{ u: 1 }, { u: 1 }])
  t.match(await failure(collection.createIndex({ u: 1 }, { unique: true })), { code: 11000 })
  t.equal((await collection.indexes()).length, 2)
})

test('commands on what does not exist answer as a server does', async (t) => {
  const { collection, db, client } = await start(t)
  t.match(await failure(collection.indexes()), { code: 26, message: 'ns does not exist: test.things' })
  t.match(await failure(db.command({ dropIndexes: 'things', index: '*' })), { code: 26 })
  await db.dropDatabase()
  t.same(await collection.find().toArray(), [])
  t.equal(await collection.countDocuments(), 0)
  t.match(await collection.deleteMany({}), { deletedCount: 0 })
  t.match(
    await failure(db.command({ nope: 1 })),
    { code: 59, codeName: 'CommandNotFound', message: "no such command: 'nope'" }
  )
  t.match(await failure(db.command({ find: '' })), { code: 73 })
  t.match(await failure(client.db('a b').collection('x').findOne()), { code: 73 })
})

test('collections are listed', async (t) => {
  const { db, client } = await start(t)
  await db.collection('b').insertOne({})
  await db.collection('a').createIndex({ x: 1 })
  await client.db('other').collection('c').insertOne({})
  t.match(
    await db.listCollections().toArray(),
    [{ name: 'a', type: 'collection', idIndex: { name: '_id_' } }, { name: 'b' }]
  )
  t.same(
    await db.listCollections({ name: 'b' }, { nameOnly: true }).toArray(), [{ name: 'b', type: 'collection' }]
  )
  await client.db('other').dropDatabase()
  t.same(await client.db('other').listCollections().toArray(), [])
  t.match(await failure(client.db('TEST').collection('x').insertOne({})), { code: 13297 })
})

test('a TTL index deletes what is past its time, by the earliest date of an array', async (t) => {
  const { collection, database } = await start(t)
  await collection.createIndex({ at: 1 }, { expireAfterSeconds: 10 })
  const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000)
  await collection.insertMany(
    [
      { n: 1, at: ago(11) }, { n: 2, at: ago(9) }, { n: 3, at: [ago(0), ago(20)] }, { n: 4, at: 'never' },
      { n: 5 }, { n: 6, at: null }
    ] as Document[]
  )
  t.equal(database.expire(), 2)
  t.same(await collection.find().sort({ n: 1 }).map(({ n }) => n).toArray(), [2, 4, 5, 6])
})

test('explain distinguishes an index scan from a collection scan, and has what it read', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ a: 1, b: 1 })
  await collection.createIndex({ c: 1 })
  await collection.insertMany(
    Array.from({ length: 1000 }, (_, i) => ({ a: i % 10, b: i, c: [i, i + 1], d: i }))
  )
  const explained = async (
    filter: Document, sort: Document = {}, limit = 0
  ): Promise<{ stages: string[], index: string, keys: number, docs: number, n: number }> => {
    const told = await collection.find(filter).sort(
      sort as Record<string, 1>
    ).limit(limit).explain('executionStats')
    const stages: string[] = []
    let index = ''
    for (let stage = told.queryPlanner.winningPlan; stage !== undefined; stage = stage.inputStage) {
      stages.push(stage.stage)
      index = stage.indexName ?? index
    }
    const { totalKeysExamined: keys, totalDocsExamined: docs, nReturned: n } = told.executionStats
    return { stages, index, keys, docs, n }
  }
  t.same(
    await explained({ a: 3, b: { $gte: 500, $lt: 600 } }),
    { stages: ['FETCH', 'IXSCAN'], index: 'a_1_b_1', keys: 10, docs: 10, n: 10 }
  )
  t.same(
    await explained({ a: 3 }, { b: -1 }, 5),
    { stages: ['LIMIT', 'FETCH', 'IXSCAN'], index: 'a_1_b_1', keys: 5, docs: 5, n: 5 }
  )
  t.match(
    await explained({ a: { $in: [1, 2] } }, { b: 1 }, 4),
    { stages: ['SORT', 'FETCH', 'IXSCAN'], index: 'a_1_b_1', n: 4 }
  )
  t.same(await explained({ d: 5 }), { stages: ['COLLSCAN'], index: '', keys: 0, docs: 1000, n: 1 })
  t.same(
    await explained({ a: 3 }, { d: 1 }),
    { stages: ['SORT', 'FETCH', 'IXSCAN'], index: 'a_1_b_1', keys: 100, docs: 100, n: 100 }
  )
  t.same(await explained({ c: 7 }), { stages: ['FETCH', 'IXSCAN'], index: 'c_1', keys: 2, docs: 2, n: 2 })
  t.same(await explained({ c: { $gte: 5, $lt: 7 } }).then(({ n }) => n), 3)
  t.match(await explained({}, { a: 1, b: 1 }, 7), { stages: ['LIMIT', 'FETCH', 'IXSCAN'], keys: 7 })
  t.match(await explained({}, { b: 1 }, 7), { stages: ['SORT', 'COLLSCAN'] })
  t.match(
    await collection.find({ _id: 5 as never }).explain(),
    { queryPlanner: { winningPlan: { inputStage: { stage: 'IXSCAN', indexName: '_id_' } } } }
  )
})

test('an index with an array in one part orders by another', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ 'c.d': 1, at: 1 })
  await collection.insertMany(Array.from({ length: 200 }, (_, i) => (
    { at: (i * 7) % 200, c: [{ d: i % 2 }, { d: 5 }] }
  )))
  const search = (sort: Record<string, 1 | -1>) =>
    collection.find({ 'c.d': 1, at: { $gte: 50, $lt: 150 } }).sort(sort).limit(10)
  const explained = await search({ at: -1 }).explain()
  t.match(explained.queryPlanner.winningPlan, { stage: 'LIMIT', inputStage: { stage: 'FETCH' } })
  t.match(explained.executionStats, { totalKeysExamined: 10, totalDocsExamined: 10 })
  const found = await search({ at: -1 }).toArray()
  t.same(found.map(({ at }) => at), Array.from({ length: 10 }, (_, i) => 149 - 2 * i))
  // By its lowest element, which is not the one in the bounds
  const byArray = await collection.find({ 'c.d': 5 }).sort({ 'c.d': 1, at: 1 }).explain()
  t.equal(byArray.queryPlanner.winningPlan.stage, 'SORT')
  await collection.insertOne({ at: [1, 2], c: { d: 9 } })
  const parallel = await search({ at: -1 }).explain()
  t.equal(parallel.queryPlanner.winningPlan.stage, 'SORT', 'both parts have met arrays')
})

test('the way that walks fewer entries is taken', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ name: 1, _id: 1 })
  await collection.createIndex({ city: 1 })
  await collection.createIndex({ sex: 1 })
  await collection.insertMany(
    Array.from({ length: 5000 }, (_, i) => ({ name: `n${(i * 7919) % 5000}`, city: i % 1000, sex: i % 2 }))
  )
  const used = async (filter: Document): Promise<string> => JSON.stringify(
    (await collection.find(filter).sort({ name: 1, _id: 1 }).limit(20).explain()).queryPlanner.winningPlan
  )
  t.match(await used({ city: 5 }), /"indexName":"city_1"/, 'five documents, sorted in memory')
  t.match(await used({ sex: 1 }), /"indexName":"name_1__id_1"/, 'half of them, so the order is walked')
  t.match(await used({ sex: 1, city: 5 }), /"indexName":"city_1"/)
  t.match(await used({ $or: [{ city: 5 }, { city: 6 }] }), /"indexName":"city_1"/)
})

test('a hint is followed, a bad one refused', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ a: 1 })
  await collection.insertMany([{ a: 1, b: 1 }, { a: 2, b: 2 }])
  t.match(JSON.stringify(await collection.find({ b: 1 }).hint({ a: 1 }).explain()), /"indexName":"a_1"/)
  t.match(JSON.stringify(await collection.find({ a: 1 }).hint({ $natural: 1 }).explain()), /COLLSCAN/)
  t.match(await failure(collection.find({ a: 1 }).hint('nope').toArray()), { code: 2 })
  t.match(await failure(collection.updateOne({ a: 1 }, { $set: { b: 2 } }, { hint: 'nope' })), { code: 2 })
  t.equal(await collection.countDocuments({ b: 1 }, { hint: 'a_1' }), 1)
})

test('a page of 100 costs the same of 1,000 and of 100,000', async (t) => {
  const { db } = await start(t)
  const cost: unknown[] = []
  for (const size of [1000, 100000]) {
    const collection = db.collection(`patients${size}`)
    await collection.createIndex({ lastName: 1, _id: 1 })
    for (let i = 0; i < size; i += 20000) {
      await collection.insertMany(
        Array.from(
          { length: Math.min(size - i, 20000) }, (_, n) => ({ lastName: `n${((i + n) * 7919) % 1000003}`, n })
        )
      )
    }
    for (const direction of [1, -1] as const) {
      const { totalKeysExamined, totalDocsExamined } = (
        await collection.find().sort({ lastName: direction, _id: direction }).limit(100).explain()
      ).executionStats
      cost.push([totalKeysExamined, totalDocsExamined])
    }
  }
  t.same(cost, [[100, 100], [100, 100], [100, 100], [100, 100]])
})

/** Drawn anew in each run. */
const QUERIES = process.env.FULL ? 700 : 150
const seed = Number(process.env.SEED ?? Date.now() % 1e9)
let state = seed

/** Repeatable with the seed that a failure tells (mulberry32). */
function next (): number {
  state = (state + 0x6d2b79f5) | 0
  let n = Math.imul(state ^ (state >>> 15), 1 | state)
  n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n
  return ((n ^ (n >>> 14)) >>> 0) / 4294967296
}

function random<T> (list: T[]): T {
  return list[Math.floor(next() * list.length)]!
}

test('random filters and sorts are answered alike with indexes and without', async (t) => {
  const { db } = await start(t)
  const plain = db.collection('plain')
  const indexed = db.collection('indexed')
  for (const key of [
    { a: 1 }, { b: -1, a: 1 }, { a: 1, b: 1, _id: 1 }, { 'c.d': 1 }, { 'c.d': 1, 'c.e': -1 },
    { b: 1, 'c.e': 1 }, { 'c.d': 1, b: 1, _id: 1 }, { a: 1, 'c.e': 1, _id: 1 }
  ] as Array<Record<string, 1 | -1>>) await indexed.createIndex(key)
  await indexed.createIndex({ b: 1, _id: -1 })
  const scalar = (): unknown => random(
    [0, 1, 2, 3, 2.5, 'x', 'y', null, true, new Date(5), [], [1, 2], [3, 'x'], [[1]], { d: 1 }]
  )
  const noArray = (): unknown => random([0, 1, 2, 3, 'x', null])
  const pair = (): Document => ({ d: noArray(), e: noArray() })
  const docs = Array.from({ length: 400 }, (_, i) => ({
    _id: i as never,
    ...(next() < 0.8 ? { a: scalar() } : {}),
    ...(next() < 0.8 ? { b: noArray() } : {}),
    ...(next() < 0.5 ? { c: random([pair(), [pair(), { d: noArray() }], [], 5]) } : {}),
    // Large documents are decoded in part
    ...(next() < 0.3 ? { large: 'x'.repeat(3000) } : {})
  }))
  // parallel arrays have no place in a compound index
  const fit = docs.filter(({ a, c }: Document) => !(Array.isArray(a) && Array.isArray(c)))
  await plain.insertMany(fit)
  await indexed.insertMany(fit)
  const condition = (): Document => random<() => Document>([
    () => ({ $eq: scalar() }), () => ({ $gt: scalar() }), () => ({ $lte: scalar() }),
    () => ({ $gte: scalar(), $lt: scalar() }), () => ({ $in: [scalar(), scalar()] }),
    () => ({ $ne: scalar() }),
    () => ({ $nin: [scalar()] }), () => ({ $exists: random([true, false]) }),
    () => ({ $not: { $gt: scalar() } }), () => ({ $elemMatch: { $gte: 1, $lt: 3 } }),
    () => ({ $not: { $elemMatch: { $gte: 1 } } })
  ])()
  const field = (): string => random(['a', 'b', 'c', 'c.d', 'c.e', '_id'])
  const clause = (): Document => next() < 0.1
    ? { c: { $elemMatch: { d: scalar(), e: condition() } } }
    : { [field()]: condition() }
  const filter = (): Document => random<() => Document>(
    [
      clause, () => ({ ...clause(), ...clause() }), () => ({ $or: [clause(), clause()] }),
      () => ({ ...clause(), $or: [clause(), { ...clause(), ...clause() }] }),
      () => ({ $and: [clause(), clause(), clause()] }), () => ({})
    ]
  )()
  for (let i = 0; i < QUERIES; i++) {
    const query = filter()
    const sort = random<Record<string, 1 | -1>>(
      [
        { _id: 1 }, { a: 1, _id: 1 }, { a: -1, _id: -1 }, { b: 1, a: -1, _id: 1 }, { b: -1, a: 1, _id: 1 },
        { b: 1, _id: -1 }, { b: 1, _id: 1 }, { b: -1, _id: -1 },
        { 'c.d': 1, _id: 1 }, { 'c.d': 1, 'c.e': -1, _id: 1 }, { 'c.e': -1, _id: 1 }
      ]
    )
    const limit = random([0, 0, 1, 5])
    const skip = random([0, 0, 3])
    const ids = async (collection: typeof plain): Promise<string> => (
      await collection.find(query).sort(sort).skip(skip).limit(limit).project({ _id: 1 }).toArray()
    ).map(({ _id }) => _id).join()
    const [wanted, got] = await Promise.all([ids(plain), ids(indexed)])
    if (wanted !== got) {
      return t.equal(
        got, wanted,
        JSON.stringify(
          {
            seed,
            query,
            sort,
            limit,
            skip,
            plan: (
              await indexed.find(query).sort(sort).skip(skip).limit(limit).explain()
            ).queryPlanner.winningPlan
          }
        )
      )
    }
    const [n, m] = await Promise.all([plain.countDocuments(query), indexed.countDocuments(query)])
    if (n !== m) return t.equal(m, n, `count ${JSON.stringify({ seed, query })}`)
  }
  t.pass(`${QUERIES} queries`)
})

test('changes keep every index true', async (t) => {
  const { collection } = await start(t)
  for (const key of [{ a: 1 }, { 'l.x': 1 }, { a: 1, 'l.x': -1 }] as Array<Record<string, 1 | -1>>) {
    await collection.createIndex(key)
  }
  for (let i = 0; i < 300; i++) {
    const _id = Math.floor(next() * 30) as never
    const l = Array.from({ length: Math.floor(next() * 3) }, () => ({ x: Math.floor(next() * 5) }))
    await random<() => Promise<unknown>>([
      () => collection.replaceOne({ _id }, { a: Math.floor(next() * 5), l }, { upsert: true }),
      () => collection.updateOne({ _id }, { $inc: { a: 1 } }, { upsert: true }),
      () => collection.updateMany({ a: 2 }, { $push: { l: { x: 9 } } } as Document),
      () => collection.updateOne({ _id }, { $unset: { l: '' } }),
      () => collection.deleteOne({ _id })
    ])()
  }
  for (let x = 0; x < 10; x++) {
    for (const query of [{ 'l.x': x }, { a: x }, { a: x, 'l.x': 9 }]) {
      const byIndex = await collection.find(query).sort({ _id: 1 }).toArray()
      const byScan = await collection.find(query).hint({ $natural: 1 }).toArray()
      t.same(byIndex, byScan.sort((a, b) => Number(a._id) - Number(b._id)), `seed ${seed}`)
    }
  }
})
