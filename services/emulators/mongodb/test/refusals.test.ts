import { inspect } from 'node:util'
import { Binary, Decimal128, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, serialize } from 'bson'
import type { Document } from 'mongodb'
import { test } from 'tap'
import { exchange, failure, opMsg, start } from './helper.ts'

const id = (n: number): ObjectId => n as unknown as ObjectId

test('an unknown field of a command or a statement is refused', async (t) => {
  const { db, collection } = await start(t)
  await collection.insertOne({ a: 1 })
  const q = { a: 1 }
  const group = { $group: { _id: 1, n: { $sum: 1 } } }
  const commands: Document[] = [
    { find: 'things' }, { insert: 'things', documents: [{}] }, { update: 'things', updates: [{ q, u: {} }] },
    { delete: 'things', deletes: [{ q, limit: 1 }] }, { count: 'things' },
    { aggregate: 'things', pipeline: [group], cursor: {} }, { explain: { find: 'things', foo: 1 } },
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
    t.match(await db.command(command), { n: 0, writeErrors: [{ code: 40415 }] })
  }
  t.equal(await collection.countDocuments({ b: 1 }), 0)
})

const names = ['5', 'a.5', '5.a', 'a.0.b', '__proto__', 'a.__proto__']

/** Commands by the code with which they are refused. */
const commands: Record<number, Document[]> = {
  2: [
    { find: 'things', maxTimeMS: -1 }, { insert: 'things', documents: [{}], writeConcern: { w: 2 } },
    { insert: 'things', documents: [{}], writeConcern: { w: 'x' } }
  ],
  20: [{ find: 'things', txnNumber: 1 }],
  59: [
    'aggregateX', 'buildInfo', 'collMod', 'connectionStatus', 'create', 'distinct', 'drop', 'endSessions',
    'findAndModify', 'findandmodify', 'listDatabases', 'logout', 'renameCollection', 'startSession'
  ].map((name) => ({ [name]: 'things' })),
  115: [
    ...[
      { $expr: {} }, { $where: 'true' }, { $text: { $search: 'x' } }, { $jsonSchema: {} }, { $comment: 'x' },
      { a: { $all: [1] } }, { a: { $bitsAllSet: 1 } }, { a: { $gt: Decimal128.fromString('1') } },
      { a: { $gt: Long.MAX_VALUE } }, { a: { $mod: [2, 1] } }, { a: { $near: [1, 1] } }, { a: { $size: 1 } },
      { a: { $type: 'int' } }, ...names.map((name) => ({ [name]: 1 })), { $or: [{ $and: [{ a: { 5: 1 } }] }] }
    ].map((filter) => ({ find: 'things', filter })),
    ...[
      { allowDiskUse: true }, { allowPartialResults: true }, { apiStrict: true }, { apiVersion: '1' },
      { awaitData: true }, { collation: { locale: 'de' } }, { comment: 'x' }, { hint: { $natural: -1 } },
      { let: { a: 1 } }, { lsid: { id: 1 } }, { min: { a: 1 } }, { noCursorTimeout: true },
      { projection: { a: { $slice: 1 } } }, { projection: { 'a.0': 1 } }, { returnKey: true },
      { readConcern: { level: 'majority' } }, { sort: { $natural: 1 } }, { sort: { 5: 1 } },
      { sort: { a: { $meta: 'textScore' } } },
      { startTransaction: true }, { tailable: true }
    ].map((option) => ({ find: 'things', ...option })),
    ...[
      { background: true }, { collation: { locale: 'de' } }, { hidden: true }, { key: { '$**': 1 } },
      { key: { 'a.0': 1 } }, { key: { a: '2dsphere' } }, { key: { a: 'hashed' } }, { key: { a: 'text' } },
      { partialFilterExpression: { a: 1 } }, { sparse: true }, { v: 2 }
    ].map((index) => ({ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'x', ...index }] })),
    ...[
      [{ $limit: 1 }, { $match: {} }], [{ $match: {} }, { $match: {} }], [{ $limit: 1 }, { $sort: { a: 1 } }],
      [{ $project: { a: 1 } }, { $match: {} }], [{ $sort: { a: 1 } }, { $group: { _id: 1, n: { $sum: 1 } } }],
      ...[
        { $addFields: { b: 1 } }, { $bucket: {} }, { $changeStream: {} }, { $count: 'n' }, { $facet: {} },
        { $lookup: {} }, { $merge: 'x' }, { $out: 'x' }, { $replaceRoot: {} },
        { $project: { a: { $add: [1, 2] } } },
        { $project: { a: { $filter: { input: '$l', cond: { $gt: ['$$this', 1] } } } } },
        { $sample: {} }, { $set: { b: 1 } },
        { $sort: { a: { $meta: 'textScore' } } }, { $unionWith: 'x' }, { $unset: 'a' },
        { $unwind: '$a' }, { $group: { _id: '$a', n: { $sum: 1 } } }, { $group: { _id: { a: '$a' } } },
        { $group: { _id: null, n: { $avg: '$a' } } }, { $group: { _id: null, n: { $sum: '$a' } } },
        { $group: { _id: null, n: { $sum: 1 }, m: { $sum: 1 } } }
      ].map((stage) => [stage])
    ].map((pipeline) => ({ aggregate: 'things', pipeline, cursor: {} })),
    { aggregate: 1, pipeline: [], cursor: {} },
    { aggregate: 'things', pipeline: [], cursor: {}, let: { a: 1 } },
    { count: 'things', fields: { a: 1 } }, { createIndexes: 'things', indexes: [], commitQuorum: 1 },
    { createUser: 'x', pwd: 'x', roles: [], customData: { a: 1 } },
    { createUser: 'x', pwd: 'x', roles: [], mechanisms: ['SCRAM-SHA-256'] },
    { createUser: 'x', pwd: 'é', roles: [] }, { explain: { count: 'things' } },
    { insert: 'things', documents: [{}], bypassDocumentValidation: true },
    { listCollections: 1, authorizedCollections: true }, { listCollections: 1, cursor: { batchSize: 0 } },
    { update: 'things', updates: [{ q: {}, u: { $set: { b: 1 } } }], let: { a: 1 } },
    { updateUser: 'x', pwd: 'x', roles: ['read'] }, { usersInfo: 1 }, { usersInfo: 'x', showPrivileges: true }
  ]
}

const values = [
  Decimal128.fromString('1'), new Timestamp({ t: 1, i: 1 }), new MinKey(), new MaxKey(), /x/, Long.MAX_VALUE,
  new Map([['5', 1]]), [new Map([['__proto__', 1]])]
]

const updates: Array<Document | Document[]> = [
  { $addToSet: { l: 1 } }, { $bit: { a: { and: new Int32(1) } } }, { $currentDate: { a: true } },
  { $max: { a: 2 } }, { $min: { a: 0 } }, { $mul: { a: 2 } }, { $pop: { l: 1 } }, { $pull: { l: 1 } },
  { $pullAll: { l: [1] } }, { $push: { l: { $each: [1], $slice: 1 } } },
  { $push: { l: { $each: [1], $sort: 1 } } }, { $rename: { a: 'b' } }, { $set: { 'l.$': 1 } },
  { $set: { 'l.$[]': 1 } }, { $set: { 'l.$[e].x': 1 } }, [{ $set: { b: 1 } }],
  ...names.map((name) => ({ $set: { [name]: 1 } })), ...values.map((b) => ({ $set: { b } }))
]

test('what MongoDB has and this database has not is refused, and changes nothing', async (t) => {
  const { db, collection, client } = await start(t)
  await collection.insertOne({ _id: id(1), a: 1, l: [1, { x: 1 }] })
  for (const [code, refused] of Object.entries(commands)) {
    for (const command of refused) {
      t.match(await failure(db.command(command)), { code: Number(code) }, inspect(command, { depth: 5 }))
    }
  }
  const statements: Document[] = [
    ...updates.map((u) => ({ update: 'things', updates: [{ q: {}, u }] })),
    ...values.map((b) => ({ insert: 'things', documents: [{ b }] })),
    { update: 'things', updates: [{ q: {}, u: { $set: { 'l.$[e]': 1 } }, arrayFilters: [{ e: 1 }] }] }
  ]
  for (const command of statements) {
    const { code } = await db.command(command).then(({ writeErrors }) => writeErrors[0], (error) => error)
    t.equal(code, 115, inspect(command, { depth: 5 }))
  }
  for (const b of values) t.equal((await failure(collection.insertMany([{ b }, {}]))).code, 115, inspect(b))
  t.match(await db.command({ insert: 'system.x', documents: [{}] }), { n: 0, writeErrors: [{ code: 73 }] })
  for (const data of [{ threadName: 'a' }, { errorExtraInfo: {} }]) {
    const point = { configureFailPoint: 'failCommand', mode: 'alwaysOn', data }
    t.match(await failure(client.db('admin').command(point)), { code: 115 })
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

test('a regular expression that JavaScript reads otherwise or that may be slow is refused', async (t) => {
  const { collection } = await start(t)
  await collection.insertOne({ a: 'x' })
  const refused = [
    '\\Ax', 'x\\z', 'x\\Z', '[[:digit:]]', '\\p{L}', '\\Qx\\E', 'x*+', '(?>x)', '(a+)+', '(a|b)*', '(a)\\1',
    'a(?=b)', '(?<!a)b',
    '(?<name>a)', '\\h', '\\R', '(', 'a)', '*', '(?i:a)', '\\x41', '[a', 'a|b', '(ab)', '^*',
    '[z-a]', '[\\d]', '\\s', '\\w', 'a*?', 'a{2,1}'
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
  t.equal(await finds('[a-z]+\\.[^x ]{2,3}$', 'ab.cd'), true)
  t.equal(await finds('^\\d{2}\\.\\d?$', '12.3'), true)
  t.equal(await finds('^É', 'éa', 'i'), true)
})

test('binary data in an index of an array is kept', async (t) => {
  const { collection } = await start(t)
  await collection.createIndex({ l: 1 })
  await collection.insertOne({ l: [new Binary(Buffer.from([1])), 'x'] })
  t.equal(await collection.countDocuments({ l: new Binary(Buffer.from([1])) }), 1)
})
