import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serialize } from 'bson'
import type { Document } from 'mongodb'
import { MongoClient } from 'mongodb'
import { pino } from 'pino'
import { test } from 'tap'
import { startDatabase } from '../server.ts'
import { dataDirectory, durable, exchange, failure, opMsg, run, start } from './helper.ts'

test('what was acknowledged is there after kill -9 under load', async (t) => {
  const dataDir = dataDirectory(t)
  const acknowledged = new Set<number>()
  for (let round = 0; round < 3; round++) {
    const { port, child, exit } = await run(t, { DATA_DIR: dataDir })
    const client = new MongoClient(
      `mongodb://127.0.0.1:${port}`, { writeConcern: durable, retryWrites: false }
    )
    const collection = client.db('test').collection<{ _id: number } & Document>('things')
    await collection.createIndex({ k: 1 })
    let next = round * 100000
    const writers = Array.from({ length: 8 }, async () => {
      for (;;) {
        const n = next++
        try {
          await collection.insertOne({ _id: n, k: n % 10, l: [n, n + 1] })
          acknowledged.add(n)
        } catch {
          return
        }
      }
    })
    await new Promise((resolve) => setTimeout(resolve, 400))
    child.kill('SIGKILL')
    await Promise.all([exit, ...writers])
    await client.close()
  }
  const { port } = await run(t, { DATA_DIR: dataDir })
  const client = new MongoClient(`mongodb://127.0.0.1:${port}`)
  t.teardown(() => client.close())
  const collection = client.db('test').collection<{ _id: number } & Document>('things')
  const there = new Set(await collection.find().map(({ _id }) => _id).toArray())
  t.ok(acknowledged.size > 100)
  t.same([...acknowledged].filter((n) => !there.has(n)), [])
  t.equal(
    await collection.countDocuments({ k: { $gte: 0 } }, { hint: 'k_1' }), there.size,
    'the index has all of them'
  )
})

test('writes that arrive together share a commit, and one that fails does not undo the others', async (t) => {
  const { collection, database } = await start(t, { minPoolSize: 20, maxPoolSize: 20 })
  await collection.insertOne({ _id: 0 as never })
  await Promise.all(Array.from({ length: 20 }, () => collection.findOne()))
  const before = database.commits
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, (_, i) => collection.insertOne({ _id: (i % 10 === 0 ? 0 : i) as never }))
  )
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 180)
  t.equal(await collection.countDocuments(), 181)
  t.ok(database.commits - before < 100, `${database.commits - before} commits for 180 writes`)
  const alone = database.commits
  await collection.insertOne({ _id: 500 as never })
  t.equal(database.commits, alone + 1)
})

test('data is there after a restart, indexes and array flags included', async (t) => {
  const dataDir = dataDirectory(t)
  const logger = pino({ level: 'silent' })
  for (let round = 0; round < 2; round++) {
    const database = await startDatabase({ dataDir, logger })
    const client = new MongoClient(`mongodb://127.0.0.1:${database.port}`)
    const collection = client.db('test').collection('things')
    if (round === 0) {
      await collection.createIndex({ a: 1 }, { unique: true })
      await collection.insertOne({ a: [1, 2] })
      t.match(await failure(collection.insertOne({ a: [2, 3] })), { code: 11000 })
    } else {
      t.match(await collection.find({ a: { $gte: 1, $lte: 2 } }).toArray(), [{ a: [1, 2] }])
      t.equal((await collection.find({ a: { $gt: 0 } }).toArray()).length, 1)
      t.match(
        (await collection.find({ a: 2 }).explain()).queryPlanner.winningPlan.inputStage, { isMultiKey: true }
      )
      t.match(await failure(collection.insertOne({ a: 1 })), { code: 11000 })
    }
    await client.close()
    await database.close()
  }
  for (const file of readdirSync(dataDir)) {
    t.equal(
      statSync(join(dataDir, file)).mode & 0o77, 0, `${file} is its owner's only`
    )
  }
})

test('a second process on the same data directory is refused', async (t) => {
  const dataDir = dataDirectory(t)
  const first = await run(t, { DATA_DIR: dataDir })
  const second = await run(t, { DATA_DIR: dataDir })
  t.equal(await second.exit, 1)
  t.equal(second.err(), `database: data directory ${dataDir} is in use by another process\n`)
  first.child.kill('SIGKILL')
  await first.exit
  const third = await run(t, { DATA_DIR: dataDir })
  t.ok(third.port > 0)
  third.child.kill('SIGTERM')
  t.equal(await third.exit, 0)
})

test('a corrupted data file, a port in use and wrong settings stop the start with one line', async (t) => {
  const dataDir = dataDirectory(t)
  writeFileSync(join(dataDir, 'test.sqlite'), Buffer.alloc(8192, 7))
  const corrupt = await run(t, { DATA_DIR: dataDir })
  t.equal(await corrupt.exit, 1)
  t.match(corrupt.err(), /^database: data file .*test\.sqlite cannot be read, it may be corrupted: [^\n]*\n$/)

  const { database } = await start(t)
  const taken = await run(t, { DATA_DIR: dataDirectory(t), PORT: String(database.port) })
  t.equal(await taken.exit, 1)
  t.equal(taken.err(), `database: port ${database.port} on 127.0.0.1 is in use\n`)

  const wrong = await run(t, { PORT: 'x', LOG_LEVEL: 'loud' })
  t.equal(await wrong.exit, 1)
  t.match(wrong.err(), /^[^\n]+\n$/)
  for (const name of ['DATA_DIR', 'PORT', 'LOG_LEVEL']) t.match(wrong.err(), name)
})

test('a page damaged within a file is found at the start', async (t) => {
  const dataDir = dataDirectory(t)
  const database = await startDatabase({ dataDir, logger: pino({ level: 'silent' }) })
  const client = new MongoClient(`mongodb://127.0.0.1:${database.port}`)
  await client.db('test').collection('things').insertMany(
    Array.from({ length: 2000 }, (_, i) => ({ i, text: 'x'.repeat(200) }))
  )
  await client.close()
  await database.close()
  const file = join(dataDir, 'test.sqlite')
  const bytes = readFileSync(file)
  bytes.fill(0x5a, 40960, 40960 + 4096)
  writeFileSync(file, bytes)
  const damaged = await run(t, { DATA_DIR: dataDir })
  t.equal(await damaged.exit, 1)
  t.match(damaged.err(), /^database: data file .* cannot be read, it may be corrupted: [^\n]*\n$/)
})

test('fail points fail commands by code, label, delay and a closed connection', async (t) => {
  const { collection, client, db } = await start(t, { retryReads: false, retryWrites: false })
  const admin = client.db('admin')
  const arm = async (mode: Document | string, data: Document): Promise<Document> => admin.command(
    { configureFailPoint: 'failCommand', mode, data }
  )
  await arm(
    { times: 2 }, { failCommands: ['insert'], errorCode: 16500, errorLabels: ['RetryableWriteError'] }
  )
  for (let i = 0; i < 2; i++) {
    const error = await failure(collection.insertOne({}))
    t.match(error, { code: 16500, message: "Failing command via 'failCommand' failpoint: insert" })
    t.ok(
      (error as unknown as { hasErrorLabel: (label: string) => boolean }).hasErrorLabel('RetryableWriteError')
    )
  }
  await collection.insertOne({})
  await arm('alwaysOn', { failCommands: ['find'], closeConnection: true })
  await t.rejects(collection.findOne(), { name: 'MongoNetworkError' })
  await arm('alwaysOn', { failCommands: ['find'], errorCode: 13, namespace: `${db.databaseName}.others` })
  t.match(await failure(db.collection('others').findOne()), { code: 13 })
  t.ok(await collection.findOne(), 'another collection is not affected')
  await arm('off', {})
  t.ok(await collection.findOne())
  await arm({ times: 1 }, { failCommands: ['find'], blockConnection: true, blockTimeMS: 60 })
  const started = performance.now()
  await Promise.all(
    [
      collection.findOne(),
      db.command({ ping: 1 }).then(() => t.ok(performance.now() - started < 60, 'others are not held up'))
    ]
  )
  t.ok(performance.now() - started >= 59)
  await arm(
    { times: 1 },
    { failCommands: ['insert'], writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } }
  )
  t.match(await failure(collection.insertOne({ x: 1 })), { code: 64 })
  t.equal(await collection.countDocuments({ x: 1 }), 1, 'the write was done')
  t.match(await failure(db.command({ configureFailPoint: 'failCommand', mode: 'off' })), { code: 13 })
  t.match(await failure(admin.command({ configureFailPoint: 'nope', mode: 'off' })), { code: 95 })
})

test('a malformed message closes its connection and no other', async (t) => {
  const { database, db } = await start(t)
  const good = opMsg({ ping: 1, $db: 'test' })
  const bad: Buffer[] = []
  for (const [offset, value] of [
    [0, 8], [0, 50000000], [0, -1], [12, 2012], [12, 1], [16, 0x40], [21, 3000], [21, 2]
  ] as const) {
    const copy = Buffer.from(good)
    copy.writeInt32LE(value, offset)
    bad.push(copy)
  }
  const kind = Buffer.from(good)
  kind[20] = 9
  bad.push(kind, Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'))
  for (const [i, message] of bad.entries()) {
    t.equal(
      await exchange(database.port, message), 'closed', `message ${i}`
    )
  }
  const type = Buffer.from(good)
  type[25] = 0x55
  t.match(await exchange(database.port, type), [{ ok: 0, code: 22 }], 'a value of no type')
  t.match(await db.command({ ping: 1 }), { ok: 1 })
})

test('OP_MSG in pieces, with checksum, sections or no reply, and OP_QUERY for handshakes', async (t) => {
  const { database, collection } = await start(t)
  t.match(
    await exchange(database.port, opMsg({ ping: 1, $db: 'test' }, 1)),
    [{ ok: 1, responseTo: 7, opcode: 2013 }]
  )
  const docs = Buffer.concat([serialize({ _id: 1 }), serialize({ _id: 2 })])
  const head = Buffer.alloc(5)
  head[0] = 1
  head.writeInt32LE(4 + 10 + docs.length, 1)
  const insert = opMsg(
    { insert: 'things', $db: 'test' }, 0, [Buffer.concat([head, Buffer.from('documents\0'), docs])]
  )
  t.match(await exchange(database.port, insert), [{ n: 2, ok: 1 }])
  t.match(
    await exchange(
      database.port,
      Buffer.concat(
        [
          opMsg({ insert: 'things', documents: [{ _id: 3 }], $db: 'test' }, 2),
          opMsg({ count: 'things', $db: 'test' }, 0x10000)
        ]
      )
    ),
    [{ n: 3 }]
  )
  t.equal(await collection.countDocuments(), 3)

  const query = serialize({ isMaster: 1, helloOk: true })
  const header = Buffer.alloc(16)
  const rest = Buffer.concat(
    [
      Buffer.alloc(4), Buffer.from('admin.$cmd\0'), Buffer.alloc(4), Buffer.from([0xff, 0xff, 0xff, 0xff]),
      query
    ]
  )
  header.writeInt32LE(16 + rest.length, 0)
  header.writeInt32LE(7, 4)
  header.writeInt32LE(2004, 12)
  t.match(
    await exchange(database.port, Buffer.concat([header, rest])),
    [
      {
        opcode: 1,
        ismaster: true,
        helloOk: true,
        maxWireVersion: 21,
        ok: 1
      }
    ]
  )
})

test('it says what it is, and passes over what only concerns clusters', async (t) => {
  const { db, collection } = await start(t)
  const hello = await db.command({ hello: 1 })
  t.match(
    hello,
    {
      isWritablePrimary: true,
      minWireVersion: 0,
      maxWireVersion: 21,
      maxBsonObjectSize: 16777216,
      maxMessageSizeBytes: 48000000,
      maxWriteBatchSize: 100000
    }
  )
  t.notOk('setName' in hello)
  t.match(
    await failure(db.command({ insert: 'things', documents: [{}], txnNumber: 1 })),
    { code: 20, message: 'Transaction numbers are only allowed on a replica set member or mongos' }
  )
  await collection.find({}, { readPreference: 'secondaryPreferred', maxTimeMS: 1000 }).toArray()
})

test('a signal right after "listening" closes the database before the process ends', async (t) => {
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts')], {
      env: { PATH: process.env.PATH, PORT: '0', AUTHORIZATION: 'disabled', DATA_DIR: dataDirectory(t) }
    })
    t.teardown(() => child.kill('SIGKILL'))
    child.stdout.on(
      'data', (piece) => { if (String(piece).includes('database listening')) child.kill('SIGTERM') }
    )
    t.same(await once(child, 'exit'), [0, null])
  }
})

test('it closes within two seconds, what was begun is committed, and no value is logged', async (t) => {
  const dataDir = dataDirectory(t)
  const { port, child, exit, out } = await run(t, { DATA_DIR: dataDir, LOG_LEVEL: 'trace' })
  const client = new MongoClient(`mongodb://127.0.0.1:${port}`, { writeConcern: durable })
  t.teardown(() => client.close())
  await client.db('test').collection('things').insertOne({ name: 'Secret' })
  await failure(
    client.db('test').collection('things').insertOne({ _id: 'Secret' as never }).then(
      () => client.db('test').collection('things').insertOne({ _id: 'Secret' as never })
    )
  )
  const started = performance.now()
  child.kill('SIGTERM')
  t.equal(await exit, 0)
  t.ok(performance.now() - started < 2000)
  t.notMatch(out.join(), /Secret/)
})
