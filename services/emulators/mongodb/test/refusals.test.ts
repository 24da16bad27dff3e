import { Binary, Decimal128, Int32, MaxKey, MinKey, ObjectId, Timestamp, serialize } from 'bson'
import type { Document } from 'mongodb'
import { test } from 'tap'
import { exchange, failure, opMsg, start } from './helper.ts'

const id = (n: number): ObjectId => n as unknown as ObjectId

test('an unknown field of a command or a statement is refused', async (t) => {
  const { db, collection } = await start(t)
  await collection.insertOne({ a: 1 })
  const q = { a: 1 }
  const commands: Document[] = [
    { find: 'things' }, { insert: 'things', documents: [{}] }, { update: 'things', updates: [{ q, u: {} }] },
    { delete: 'things', deletes: [{ q, limit: 1 }] }, { findAndModify: 'things', remove: true },
    { count: 'things' },
    { aggregate: 'things', pipeline: [], cursor: {} }, { distinct: 'things', key: 'a' }, { drop: 'things' },
    { listCollections: 1 }, { listIndexes: 'things' }, { ping: 1 }
  ]
  for (const command of commands) {
    t.match(await failure(db.command({ ...command, foo: 1 })), { code: 40415 }, JSON.stringify(command))
  }
  const statements: Document[] = [
    { update: 'things', updates: [{ q, u: { $set: { b: 1 } }, foo: 1 }] },
    { update: 'things', updates: [{ q, u: { $set: { b: 1 } }, sort: { a: 1 } }] },
    { delete: 'things', deletes: [{ q, limit: 1, foo: 1 }] }
  ]
  for (const command of statements) {
    t.match(
      await db.command(command), { n: 0, writeErrors: [{ code: 40415 }] }
    )
  }
  t.equal(await collection.countDocuments({ b: 1 }), 0)
})

test('options that this database does not have are refused, not ignored', async (t) => {
  const { db, collection } = await start(t)
  await collection.insertOne({ a: 1 })
  const cases: Array<[Document, number]> = [
    [{ find: 'things', readConcern: { level: 'nonsense' } }, 9],
    [{ find: 'things', readConcern: { level: 'snapshot' } }, 115],
    [{ find: 'things', let: { a: 1 } }, 115],
    [{ update: 'things', updates: [{ q: {}, u: { $set: { b: 1 } } }], let: { a: 1 } }, 115],
    [{ ping: 1, apiStrict: true }, 322],
    [{ ping: 1, apiVersion: '2' }, 322],
    [{ aggregate: 1, pipeline: [], cursor: {} }, 115],
    [{ find: 'things', maxTimeMS: -1 }, 2]
  ]
  for (const [command, code] of cases) {
    t.equal(
      (await failure(db.command(command))).code, code, JSON.stringify(command)
    )
  }
  t.match(await db.command({ insert: 'system.x', documents: [{}] }), { n: 0, writeErrors: [{ code: 73 }] })
})

test('what MongoDB has and this database has not is refused, and changes nothing', async (t) => {
  const { db, collection } = await start(t)
  await collection.insertOne({ _id: id(1), a: 1, l: [1, { x: 1 }] })
  const values = [Decimal128.fromString('1'), new Timestamp({ t: 1, i: 1 }), new MinKey(), new MaxKey(), /x/]
  const filters: Document[] = [
    { a: { $mod: [2, 1] } }, { a: { $bitsAllSet: 1 } }, { a: { $near: [1, 1] } }, { $expr: {} },
    { $where: 'true' },
    { $text: { $search: 'x' } }, { $jsonSchema: {} }, { a: { $gt: Decimal128.fromString('1') } }
  ]
  const updates: Document[] = [
    { $rename: { a: 'b' } }, { $mul: { a: 2 } }, { $currentDate: { a: true } }, { $pop: { l: 1 } },
    { $pullAll: { l: [1] } },
    { $bit: { a: { and: new Int32(1) } } }, { $set: { 'l.$': 1 } }, { $set: { 'l.$[]': 1 } },
    { $set: { 'l.$[e].x': 1 } },
    { $push: { l: { $each: [1], $slice: 1 } } }, { $push: { l: { $each: [1], $sort: 1 } } }
  ]
  const options: Document[] = [
    { find: 'things', collation: { locale: 'de' } }, { find: 'things', min: { a: 1 } },
    { find: 'things', returnKey: true },
    { insert: 'things', documents: [{}], bypassDocumentValidation: true },
    { findAndModify: 'things', remove: true, let: { a: 1 } },
    { usersInfo: 1, showPrivileges: true }, { createUser: 'x', pwd: 'x', roles: [], customData: { a: 1 } }
  ]
  const indexes: Document[] = [
    { sparse: true }, { partialFilterExpression: { a: 1 } }, { hidden: true },
    { collation: { locale: 'de' } },
    { key: { a: 'text' } }, { key: { a: '2dsphere' } }, { key: { a: 'hashed' } }, { key: { '$**': 1 } }
  ]
  const refused: Document[] = [
    ...filters.map((filter) => ({ find: 'things', filter })),
    ...options,
    ...indexes.map(
      (index) => ({ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'x', ...index }] })
    )
  ]
  for (const command of refused) {
    t.match(
      await failure(db.command(command)), { code: 115 }, JSON.stringify(command)
    )
  }
  const statements: Document[] = [
    ...updates.map((u) => ({ update: 'things', updates: [{ q: {}, u }] })),
    ...values.map((b) => ({ insert: 'things', documents: [{ b }] })),
    ...values.map((b) => ({ update: 'things', updates: [{ q: {}, u: { $set: { b } } }] })),
    { update: 'things', updates: [{ q: {}, u: [{ $set: { b: 1 } }] }] },
    { update: 'things', updates: [{ q: {}, u: { $set: { 'l.$[e]': 1 } }, arrayFilters: [{ e: 1 }] }] }
  ]
  for (const command of statements) {
    t.match(await db.command(command), { n: 0, writeErrors: [{ code: 115 }] }, JSON.stringify(command))
  }
  for (const name of [
    'create', 'collMod', 'dropIndexes', 'listDatabases', 'renameCollection', 'findandmodify'
  ]) {
    t.match(await failure(db.command({ [name]: 'things' })), { code: 59 }, name)
  }
  t.same(await collection.find().toArray(), [{ _id: 1, a: 1, l: [1, { x: 1 }] }])
})

test('a replacement with an operator in it is refused', async (t) => {
  const { db } = await start(t)
  const updates = [{ q: {}, u: { a: 1, $set: { b: 1 } }, upsert: true }]
  t.match(await db.command({ update: 'things', updates }), { n: 0, writeErrors: [{ code: 52 }] })
})

test('an upsert by replacement takes its _id from exactly one equality', async (t) => {
  const { db, database, collection } = await start(t)
  const upsert = async (q: Document, u: Document): Promise<number> => {
    const reply = await db.command({ update: 'things', updates: [{ q, u, upsert: true }] })
    return reply.writeErrors?.[0].code ?? 0
  }
  t.equal(await upsert({ _id: 1 }, { _id: 2 }), 66)
  t.equal(await upsert({ $and: [{ _id: 1 }, { _id: 1 }] }, { a: 1 }), 54)
  t.equal(await upsert({ '_id.x': 1 }, { a: 1 }), 55)
  t.equal(await upsert({ a: 1, $and: [{ a: 2 }] }, { $set: { b: 1 } }), 54)
  t.equal(await upsert({ _id: [1] }, { a: 1 }), 53)
  t.equal(await collection.countDocuments(), 0)
  // the driver has no BSON undefined: the type byte of a null is changed
  const bytes = opMsg({ insert: 'things', documents: [{ _id: null }], $db: 'test' })
  bytes[bytes.lastIndexOf(Buffer.from('\n_id\0'))] = 6
  t.match(await exchange(database.port, bytes), [{ n: 0, writeErrors: [{ code: 53 }] }])
})

test('documents that nest too deep are refused', async (t) => {
  const { db, collection } = await start(t)
  const nested = (levels: number): Document => {
    let doc: Document = {}
    for (let i = 1; i < levels; i++) doc = i % 2 === 0 ? { a: doc } : { a: [doc] }
    return doc
  }
  const flat = (levels: number): Document => {
    let doc: Document = {}
    for (let i = 1; i < levels; i++) doc = { a: doc }
    return doc
  }
  t.match(
    await db.command({ insert: 'things', documents: [flat(181)] }), { n: 0, writeErrors: [{ code: 15 }] }
  )
  t.match(
    await db.command({ insert: 'things', documents: [nested(122)] }), { n: 0, writeErrors: [{ code: 15 }] }
  )
  t.match(await db.command({ insert: 'things', documents: [{ _id: 1, ...flat(180) }] }), { n: 1 })
  const update = { q: { _id: 1 }, u: { $set: { a: flat(180) } } }
  t.match(await db.command({ update: 'things', updates: [update] }), { n: 0, writeErrors: [{ code: 15 }] })
  t.equal(await collection.countDocuments({}, { hint: '_id_' }), 1)
  t.equal((await collection.find().sort({ a: 1 }).toArray()).length, 1)
})

test('fifty thousand levels are refused without ending the process', async (t) => {
  const { database, db } = await start(t)
  let inner = Buffer.from(serialize({}))
  const levels = 50_000
  const heads = Buffer.alloc(levels * 7)
  for (let i = 0; i < levels; i++) {
    heads.writeInt32LE(5 + (levels - i) * 8, i * 7)
    heads.write('\x03a\0', i * 7 + 4, 'latin1')
  }
  inner = Buffer.concat([heads, inner, Buffer.alloc(levels)])
  const head = Buffer.alloc(5)
  head[0] = 1
  head.writeInt32LE(4 + 10 + inner.length, 1)
  const section = Buffer.concat([head, Buffer.from('documents\0'), inner])
  const reply = await exchange(database.port, opMsg({ insert: 'things', $db: 'test' }, 0, [section]))
  t.match(reply, [{ n: 0, writeErrors: [{ code: 15 }] }])
  t.match(await db.command({ ping: 1 }), { ok: 1 })
})

test('cursors are killed by whole numbers of any type', async (t) => {
  const { db } = await start(t)
  t.match(await db.command({ killCursors: 'things', cursors: [new Int32(5)] }), { cursorsNotFound: [5] })
  t.match(await failure(db.command({ killCursors: 'things', cursors: ['x'] })), { code: 14 })
})

test('explain has the parts that tools read', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ a: 1, b: -1 })
  await collection.insertMany([{ _id: id(1), a: 1, b: 'x' }, { _id: id(2), a: 2 }])
  const { queryPlanner } = await collection.find({ a: 1, b: { $gt: 'a' } }).explain()
  t.match(queryPlanner, {
    parsedQuery: { $and: [{ a: { $eq: 1 } }, { b: { $gt: 'a' } }] },
    winningPlan: { stage: 'FETCH', inputStage: { stage: 'IXSCAN', indexBounds: { a: ['[1.0, 1.0]'] } } }
  })
  t.equal(queryPlanner.winningPlan.inputStage.indexBounds.b.length, 1)
})

test('a regular expression that JavaScript reads otherwise or that may be slow is refused', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ a: 'x' })
  const refused = [
    '\\Ax', 'x\\z', 'x\\Z', '[[:digit:]]', '\\p{L}', '\\Qx\\E', 'x*+', '(?>x)', '(a+)+', '(a|b)*', '(a)\\1',
    'a(?=b)', '(?<!a)b',
    '(?<name>a)', '\\h', '\\R', '(', 'a)', '*', '(?i:a)', '\\x41', '[a', 'a|b', '(ab)', '^*'
  ]
  for (const pattern of refused) {
    t.match(await failure(collection.findOne({ a: { $regex: pattern } })), { code: 51091 }, pattern)
  }
})

test('a regular expression means what it means in PCRE', async (t) => {
  const { collection } = await start(t)
  const finds = async (pattern: string, text: string, options = ''): Promise<boolean> => {
    await collection.deleteMany({})
    await collection.insertOne({ a: text })
    return await collection.findOne({ a: { $regex: pattern, $options: options } }) !== null
  }
  t.equal(await finds('a$', 'a\n'), true, 'before a newline at the end')
  t.equal(await finds('a.b', 'a\u2028b'), true, 'only \\n ends a line')
  t.equal(await finds('a.b', 'a\nb'), false)
  t.equal(await finds('^.$', '😀'), true, 'a character is a code point')
  t.equal(await finds('\\s', '\u00a0'), false)
  t.equal(await finds('[a-z\\d.{]+\\.[^\\s/]{2,3}$', 'ab.cd'), true)
  t.equal(await finds('^É', 'éa', 'i'), true)
})

test('binary data in an index of an array is kept', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ l: 1 })
  await collection.insertOne({ l: [new Binary(Buffer.from([1])), 'x'] })
  t.equal(await collection.countDocuments({ l: new Binary(Buffer.from([1])) }), 1)
})
