import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Binary, deserialize } from 'bson'
import type { Db, Document, MongoClientOptions } from 'mongodb'
import { MongoClient } from 'mongodb'
import { pino } from 'pino'
import type { Test } from 'tap'
import { test } from 'tap'
import { needs } from '../access/authorization.ts'
import { commandNames } from '../commands/run.ts'
import type { DatabaseOptions, RunningDatabase } from '../server.ts'
import { startDatabase } from '../server.ts'
import { dataDirectory, exchange, failure, opMsg, run } from './helper.ts'

const root = { user: 'root', password: 'the root password' }
const silent = pino({ level: 'silent' })

interface Secured {
  database: RunningDatabase
  dataDir: string
  admin: Db
  /** The driver logged in as a user of a database, on one connection; as nobody if there is no user. */
  as: (username?: string, password?: string, authSource?: string, options?: MongoClientOptions) => MongoClient
  /** Makes a user whose password is its name and `-password`. */
  user: (name: string, roles: Array<string | Document>, db?: string) => Promise<void>
}

async function secured (t: Test, options: Partial<DatabaseOptions> = {}): Promise<Secured> {
  const dataDir = options.dataDir ?? dataDirectory(t)
  const database = await startDatabase({ dataDir, auth: true, root, logger: silent, ...options })
  const clients: MongoClient[] = []
  t.teardown(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await database.close()
  })
  const as: Secured['as'] = (username, password = `${username}-password`, authSource = 'app', more = {}) => {
    const client = new MongoClient(`mongodb://127.0.0.1:${database.port}`, {
      ...(username === undefined ? {} : { auth: { username, password }, authSource }), maxPoolSize: 1, ...more
    })
    clients.push(client)
    return client
  }
  const rooted = as(root.user, root.password, 'admin')
  return {
    database,
    dataDir,
    as,
    admin: rooted.db('admin'),
    user: async (name, roles, db = 'app') => {
      await rooted.db(db).command({ createUser: name, pwd: `${name}-password`, roles })
    }
  }
}

const codeOf = async (run: Promise<unknown>): Promise<number> => run.then(() => 0, ({ code }) => code)
const who = async (client: MongoClient): Promise<Document> => (
  await client.db('app').command({ connectionStatus: 1 })
).authInfo

/** A connection without a driver. */
async function raw (t: Test, port: number): Promise<(body: Document) => Promise<Document>> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return async (body) => {
    socket.write(opMsg({ ...body, $db: 'app' }))
    const [piece] = await once(socket, 'data')
    return deserialize((piece as Buffer).subarray(21), { promoteBuffers: true })
  }
}

const nonce = 'fyko+d2lbbFgONRv9qkxdawL'
const first = (name: string): Document => (
  { saslStart: 1, mechanism: 'SCRAM-SHA-256', payload: new Binary(Buffer.from(`n,,n=${name},r=${nonce}`)) }
)

/** The client's last message of RFC 5802 to the server's first. */
function final (
  name: string, password: string, answer: string, header = 'biws'
): { message: string, verifier: string } {
  const [, r, s, i] = /^r=(.*),s=(.*),i=(.*)$/.exec(answer)!
  const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const salted = pbkdf2Sync(password, Buffer.from(s!, 'base64'), Number(i), 32, 'sha256')
  const key = hmac(salted, 'Client Key')
  const unproved = `c=${header},r=${r}`
  const messages = `n=${name},r=${nonce},${answer},${unproved}`
  const signature = hmac(createHash('sha256').update(key).digest(), messages)
  return {
    message: `${unproved},p=${Buffer.from(key.map((byte, at) => byte ^ signature[at]!)).toString('base64')}`,
    verifier: `v=${hmac(hmac(salted, 'Server Key'), messages).toString('base64')}`
  }
}

const next = (message: string, conversationId = 1): Document => (
  { saslContinue: 1, conversationId, payload: new Binary(Buffer.from(message)) }
)

test('every command has an entry that says what it needs', (t) => {
  t.same(commandNames.filter((name) => !needs.has(name)), [])
  t.same([...needs.keys()].filter((name) => !commandNames.includes(name)), [])
  t.end()
})

test('without auth everybody may do everything, and a user may log in all the same', async (t) => {
  const { as, admin, user } = await secured(t, { auth: false })
  await user('reader', ['read'])
  await as().db('app').collection('things').insertOne({})
  const reader = as('reader')
  await reader.db('app').collection('things').insertOne({})
  t.match(await who(reader), { authenticatedUsers: [{ user: 'reader', db: 'app' }] })
  t.match(await failure(as('reader', 'wrong').db('app').command({ ping: 1 })), { code: 18 })
  t.equal((await admin.client.db('app').command({ listCollections: 1 })).cursor.firstBatch.length, 1)
})

test('who is not logged in may greet and log in, nothing else', async (t) => {
  const { as, admin } = await secured(t)
  const nobody = as().db('app')
  for (const command of ['hello', 'isMaster', 'ping', 'buildInfo', 'connectionStatus', 'logout']) {
    t.match(await nobody.command({ [command]: 1 }), { ok: 1 }, command)
  }
  t.match(await nobody.command({ endSessions: [] }), { ok: 1 })
  for (const name of commandNames) {
    if (needs.get(name) === 0) continue
    t.match(
      await failure(nobody.command({ [name]: 'things' })),
      { code: 13, codeName: 'Unauthorized', message: `Command ${name} requires authentication` }, name
    )
  }
  t.match(await failure(nobody.command({ top: 1 })), { code: 59 })
  await admin.command(
    {
      configureFailPoint: 'failCommand',
      mode: 'alwaysOn',
      data: { failCommands: ['find', 'top'], errorCode: 91 }
    }
  )
  t.match(
    await failure(nobody.command({ find: 'things' })), { code: 13 },
    'a fail point is behind the authorization'
  )
  t.match(await failure(nobody.command({ top: 1 })), { code: 59 })
  t.match(await failure(admin.command({ find: 'things' })), { code: 91 })
})

test('a user logs in to the database that it was made in, and to no other', async (t) => {
  const { as, user, admin } = await secured(t)
  await user('reader', ['read', { role: 'readWrite', db: 'other' }])
  const reader = as('reader')
  t.same(await reader.db('app').collection('things').find().toArray(), [])
  t.same(await who(reader), {
    authenticatedUsers: [{ user: 'reader', db: 'app' }],
    authenticatedUserRoles: [{ role: 'read', db: 'app' }, { role: 'readWrite', db: 'other' }]
  })
  t.same(await who(as()), { authenticatedUsers: [], authenticatedUserRoles: [] })
  for (const [name, password, source] of [
    ['reader', 'wrong', 'app'], ['reader', 'reader-password', 'admin'], ['nobody', 'nobody-password', 'app']
  ]) {
    t.match(
      await failure(as(name, password, source).db('app').command({ ping: 1 })),
      { code: 18, codeName: 'AuthenticationFailed', message: 'Authentication failed.' }
    )
  }
  t.match(
    await as(
      'reader', undefined, 'app', { authMechanism: 'SCRAM-SHA-256' }
    ).db('app').command({ count: 'things' }),
    { n: 0 }
  )
  t.match(
    await failure(
      as('reader', undefined, 'app', { authMechanism: 'SCRAM-SHA-1' }).db('app').command({ ping: 1 })
    ),
    { code: 334, codeName: 'MechanismUnavailable' }
  )
  await admin.command({ logout: 1 })
  t.match(
    await failure(admin.command({ count: 'things' })),
    { code: 13, message: 'Command count requires authentication' }
  )
  await reader.db('other').command({ logout: 1 })
  t.match(
    await reader.db('app').command({ count: 'things' }), { n: 0 }, 'logout is of the user of that database'
  )
})

test('names and passwords of any characters serve', async (t) => {
  const { as, admin } = await secured(t)
  for (const [name, password] of [
    ['a=b', 'x'], ['a,b', 'p,=/:@"'], ['é@b.c', 'I\u00adX'], ['two words', '\u2168'], ['e', 'e\u0301\u00a0']
  ] as const) {
    await admin.command({ createUser: name, pwd: password, roles: [] })
    t.match(
      await who(as(name, password, 'admin')), { authenticatedUsers: [{ user: name, db: 'admin' }] }, name
    )
  }
  t.match(
    await who(as('two words', 'IX', 'admin')), { authenticatedUsers: [{ user: 'two words' }] },
    'passwords are compared as SASLprep maps them'
  )
})

test('an answer does not tell which users there are', async (t) => {
  const dataDir = dataDirectory(t)
  const salts: string[] = []
  for (let round = 0; round < 2; round++) {
    await t.test(`start ${round}`, async (t) => {
      const { database, user } = await secured(t, { dataDir })
      if (round === 0) await user('reader', ['read'])
      for (const name of ['reader', 'nobody', 'none']) {
        const send = await raw(t, database.port)
        const hello = await send(
          {
            hello: 1,
            saslSupportedMechs: `app.${name}`,
            speculativeAuthenticate: { ...first(name), db: 'app' }
          }
        )
        t.same(hello.saslSupportedMechs, ['SCRAM-SHA-256'])
        t.match(hello.speculativeAuthenticate, { conversationId: 1, done: false })
        const answer = hello.speculativeAuthenticate.payload.toString()
        const [, r, salt] = /^r=(.*),s=(.*),i=15000$/.exec(answer)!
        t.ok(r!.startsWith(nonce) && r !== nonce)
        t.equal(Buffer.from(salt!, 'base64').length, 28)
        salts.push(salt!)
        const failed = { ok: 0, code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' }
        t.same(await send(next(final(name, 'wrong', answer).message)), failed)
        t.same(
          await send(next(final(name, 'wrong', answer).message)),
          { ok: 0, code: 17, codeName: 'ProtocolError', errmsg: 'No SASL session state found' }
        )
      }
    })
  }
  t.same(salts.slice(0, 3), salts.slice(3), 'the salt stays')
  t.equal(new Set(salts).size, 3)
})

test('a client is logged in after the last, empty exchange, unless it skips that', async (t) => {
  const { database, user } = await secured(t)
  await user('reader', ['read'])
  const send = await raw(t, database.port)
  const start = await send(first('reader'))
  const { message, verifier } = final('reader', 'reader-password', start.payload.toString())
  t.match(
    await send(next(message)), { done: false, conversationId: 1, payload: Buffer.from(verifier), ok: 1 }
  )
  t.match(await send({ count: 'things' }), { code: 13 })
  t.match(await send(next('')), { done: true, payload: Buffer.alloc(0), ok: 1 })
  t.match(await send({ count: 'things' }), { n: 0, ok: 1 })
  t.match(await send(next('')), { code: 17 })

  const again = await send({ ...first('reader'), options: { skipEmptyExchange: true } })
  t.match(
    await send(next(final('reader', 'reader-password', again.payload.toString()).message)),
    { done: true, ok: 1 }
  )

  await user('other', ['read'])
  const change = await send({ ...first('other'), options: { skipEmptyExchange: true } })
  t.match(
    await send(next(final('other', 'other-password', change.payload.toString()).message)), { code: 5626701 },
    'a connection is of one user'
  )
  t.match(await send({ connectionStatus: 1 }), { authInfo: { authenticatedUsers: [{ user: 'reader' }] } })
})

test('what is no SCRAM ends in an error', async (t) => {
  const { as, database, user } = await secured(t)
  await user('reader', ['read'])
  const send = await raw(t, database.port)
  const payload = (text: string | Buffer): Document => (
    { ...first(''), payload: new Binary(Buffer.from(text as string)) }
  )
  for (const text of [
    '', ',', 'n', 'n,,', 'n,,n=,r=abcdef', 'n,,n=reader', 'n,,n=reader,r=', 'n,,r=abcdef,n=reader',
    'n,,m=x,n=reader,r=abcdef', 'p=tls-unique,,n=reader,r=abcdef', 'n,a=other,n=reader,r=abcdef',
    'x,,n=reader,r=abcdef', `n,,n=${'x'.repeat(20000)},r=abcdef`, Buffer.from([0, 255, 254, 44, 44])
  ]) {
    t.match(await send(payload(text)), { code: 18 }, JSON.stringify(String(text).slice(0, 40)))
    t.match(await send(next('c=biws')), { code: 17 }, 'and the login with it')
  }
  for (const value of [undefined, null, 'biws', 5, {}, []]) {
    t.match(
      await send({ ...first('reader'), payload: value }), { ok: 0, code: 14 }
    )
  }
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-1', '']) {
    t.match(
      await send({ ...first('reader'), mechanism }), { ok: 0, code: 334 }
    )
  }
  t.match(await send({ saslStart: 1 }), { ok: 0, code: 40414 })
  t.match(await send({ ...first('reader'), mechanism: 5 }), { ok: 0, code: 14 })
  for (const early of [
    {}, { db: 5 }, { db: 'a b' }, { ...first('reader'), db: 'app', payload: 5 },
    { ...payload('n'), db: 'app' }
  ]) {
    const hello = await send({ hello: 1, speculativeAuthenticate: early, saslSupportedMechs: 5 })
    t.match(hello, { ok: 1 })
    t.notOk('speculativeAuthenticate' in hello)
  }
  const attempt = async (change: (message: string, start: Document) => Document): Promise<Document> => {
    const start = await send(first('reader'))
    return send(change(final('reader', 'reader-password', start.payload.toString()).message, start))
  }
  t.match(
    await attempt((message) => next(message, 2)),
    { ok: 0, code: 17, errmsg: 'sasl: Mismatched conversation id' }
  )
  t.match(await send(next('')), { code: 17, errmsg: 'No SASL session state found' })
  t.match(await attempt((message) => ({ ...next(message), conversationId: 'x' })), { code: 17 })
  t.match(await attempt((message) => ({ ...next(message), payload: 'x' })), { code: 14 })
  for (const change of [
    () => '', () => 'c=biws', () => 'c=biws,r=x,p=', (m: string) => m.replace('biws', 'eSws'),
    (m: string) => m.replace(/r=./, 'r='), (m: string) => m.replace(/p=.*/, 'p=AAAA'),
    (m: string) => m.replace(/p=.*/, `p=${'A'.repeat(43)}=`), (m: string) => m.replace(/,p=.*/, ''),
    (m: string) => `${m},x=1`, (m: string) => m.replace(',p=', ',x=1,p=')
  ]) t.match(await attempt((message) => next(change(message))), { ok: 0, code: 18 })

  const started = await send(
    { ...payload(`y,a=reader,n=reader,r=${nonce},x=1`), options: { skipEmptyExchange: true } }
  )
  t.match(started, { ok: 1 })
  t.match(
    await send(
      next(
        final(
          'reader', 'reader-password', started.payload.toString(),
          Buffer.from('y,a=reader,').toString('base64')
        ).message
      )
    ),
    { code: 18 }, 'the proof is over what was sent'
  )
  t.match(await exchange(database.port, opMsg({ saslContinue: 1, $db: 'app' })), [{ code: 17 }])
  t.match(await who(as('reader')), { authenticatedUsers: [{ user: 'reader' }] }, 'others are served on')
})

test('a changed password is for new logins, and keeps the connections there are', async (t) => {
  const { as, user, admin } = await secured(t)
  await user('reader', ['read'])
  const before = as('reader')
  await before.db('app').command({ count: 'things' })
  await admin.command({ updateUser: 'root', pwd: 'another root password' })
  t.match(await admin.command({ usersInfo: 1 }), { ok: 1 })
  await as('root', 'another root password', 'admin').db('app').command({ updateUser: 'reader', pwd: 'other' })
  t.match(await before.db('app').command({ count: 'things' }), { n: 0 })
  t.equal(await codeOf(as('reader').db('app').command({ ping: 1 })), 18)
  t.match(await as('reader', 'other').db('app').command({ count: 'things' }), { n: 0 })
})

test('a password that is changed between the two messages of a login is not enough', async (t) => {
  const { database, user, as } = await secured(t)
  await user('reader', ['read'])
  const send = await raw(t, database.port)
  const start = await send({ ...first('reader'), options: { skipEmptyExchange: true } })
  await as(root.user, root.password, 'admin').db('app').command({ updateUser: 'reader', pwd: 'other' })
  t.match(
    await send(next(final('reader', 'reader-password', start.payload.toString()).message)), { code: 18 }
  )
})

test('a dropped user loses its rights at once, even if one of its name is made again', async (t) => {
  const { as, user, admin } = await secured(t)
  await user('reader', ['read'])
  const reader = as('reader')
  await reader.db('app').command({ count: 'things' })
  await admin.client.db('app').command({ dropUser: 'reader' })
  t.match(
    await failure(reader.db('app').command({ count: 'things' })),
    { code: 13, message: 'Command count requires authentication' }
  )
  t.equal(await codeOf(as('reader').db('app').command({ ping: 1 })), 18)
  await user('reader', ['dbOwner'])
  t.match(await failure(reader.db('app').command({ count: 'things' })), { code: 13 })
  t.same(await who(reader), { authenticatedUsers: [], authenticatedUserRoles: [] })
  t.match(await as('reader').db('app').command({ count: 'things' }), { n: 0 })
})

test('other roles hold from the next command on', async (t) => {
  const { as, user, admin } = await secured(t)
  await user('worker', ['read'])
  const things = as('worker').db('app').collection('things')
  t.equal(await codeOf(things.insertOne({})), 13)
  await admin.client.db('app').command({ updateUser: 'worker', roles: ['readWrite'] })
  t.equal(await codeOf(things.insertMany(Array.from({ length: 10 }, () => ({})))), 0)
  const cursor = things.find().batchSize(2)
  await cursor.next()
  await admin.client.db('app').command({ updateUser: 'worker', roles: ['dbAdmin'] })
  t.equal(await codeOf(things.insertOne({})), 13)
  t.equal(await codeOf(cursor.toArray()), 13, 'what was found with rights that are gone')
  t.match(
    await failure(things.findOne()),
    { message: 'not authorized on app to execute command { find: "things" }' }
  )
  await admin.client.db('app').command({ updateUser: 'worker', roles: [] })
  t.equal(await codeOf(things.indexes()), 13)
})

const commands: Record<string, Document[]> = {
  find: [
    { find: 'things' }, { count: 'things' }, { distinct: 'things', key: 'a' },
    { aggregate: 'things', pipeline: [], cursor: {} },
    { explain: { find: 'things' } }, { explain: { aggregate: 'things', pipeline: [], cursor: {} } }
  ],
  list: [{ listCollections: 1 }, { listIndexes: 'things' }],
  write: [
    { insert: 'things', documents: [{}] }, { update: 'things', updates: [{ q: {}, u: { $set: { a: 1 } } }] },
    { delete: 'things', deletes: [{ q: {}, limit: 1 }] },
    { findAndModify: 'things', query: {}, remove: true },
    { explain: { delete: 'things', deletes: [{ q: {}, limit: 1 }] } }
  ],
  structure: [
    { drop: 'more' }, { createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a' }] }
  ],
  administer: [{ dropDatabase: 1 }],
  users: [
    { createUser: 'made', pwd: 'x', roles: ['read'] }, { updateUser: 'made', pwd: 'y' }, { usersInfo: 1 },
    { usersInfo: 'made' }, { dropUser: 'made' }
  ],
  never: [
    { find: 'system.users' }, { insert: 'system.users', documents: [{}] },
    { explain: { find: 'system.users' } }, { drop: 'system.js' }
  ]
}

const read = ['find', 'list']
const readWrite = [...read, 'write', 'structure']
const dbAdmin = ['list', 'structure', 'administer']
const owner = [...readWrite, 'administer', 'users']
const roles: Array<[role: string, here: string[], elsewhere: string[]]> = [
  ['read', read, []],
  ['readWrite', readWrite, []],
  ['dbAdmin', dbAdmin, []],
  ['userAdmin', ['users'], []],
  ['dbOwner', owner, []],
  ['readAnyDatabase', read, read],
  ['readWriteAnyDatabase', readWrite, readWrite],
  ['dbAdminAnyDatabase', dbAdmin, dbAdmin],
  ['userAdminAnyDatabase', ['users'], ['users']],
  ['root', owner, owner]
]

for (const [role, here, elsewhere] of roles) {
  test(`the role ${role} grants what it does in MongoDB, and no more`, async (t) => {
    const { as, user, admin } = await secured(t)
    const wide = role === 'root' || role.includes('Any')
    await user('somebody', wide ? [{ role, db: 'admin' }] : [role])
    const client = as('somebody')
    for (const [name, allowed] of [['app', here], ['other', elsewhere]] as const) {
      await admin.client.db(name).collection('things').insertOne({ a: 1 })
      for (const [action, list] of Object.entries(commands)) {
        for (const command of list) {
          const code = await codeOf(client.db(name).command(command))
          const may = allowed.includes(action)
          t.equal(code === 13, !may, `${name} ${JSON.stringify(command)} ${code}`)
        }
      }
    }
    const server = { configureFailPoint: 'failCommand', mode: 'off' }
    t.equal(await codeOf(client.db('admin').command(server)), role === 'root' ? 0 : 13)
    t.equal(await codeOf(client.db('local').command({ listCollections: 1 })), role === 'root' ? 0 : 13)
    t.equal(await codeOf(client.db('app').command({ noSuchCommand: 1 })), 59)
  })
}

test('rights on one database add to those on any', async (t) => {
  const { as, user } = await secured(t)
  await user(
    'somebody', ['readWrite', { role: 'readAnyDatabase', db: 'admin' }, { role: 'dbAdmin', db: 'other' }]
  )
  const client = as('somebody')
  t.equal(await codeOf(client.db('app').collection('things').insertOne({})), 0)
  t.equal(await codeOf(client.db('other').collection('things').findOne()), 0)
  t.equal(await codeOf(client.db('other').command({ dropDatabase: 1 })), 0)
  t.equal(await codeOf(client.db('third').collection('things').findOne()), 0)
  t.equal(await codeOf(client.db('third').collection('things').insertOne({})), 13)
})

test('a cursor is of the user that opened it', async (t) => {
  const { as, user, admin, database } = await secured(t)
  await admin.client.db('app').collection('things').insertMany(Array.from({ length: 300 }, (_, i) => ({ i })))
  await user('one', ['read', 'dbAdmin'])
  await user('two', ['dbOwner'])
  const one = as('one').db('app')
  const [mine, its] = [
    await one.command({ find: 'things' }),
    await one.command({ listIndexes: 'things', cursor: { batchSize: 0 } })
  ].map(({ cursor }) => cursor.id)
  const two = as('two').db('app')
  t.match(
    await failure(two.command({ getMore: mine, collection: 'things' })),
    { code: 13, message: /was not created by the authenticated user/ }
  )
  t.equal(await codeOf(two.command({ killCursors: 'things', cursors: [mine] })), 13)
  const session = two.client.startSession()
  const withSession = await two.command({ find: 'things' }, { session })
  await one.command({ endSessions: [session.id] })
  t.equal(database.cursors, 3, "nor does one end another's session")
  t.match(
    await two.command({ killCursors: 'things', cursors: [withSession.cursor.id] }),
    { cursorsKilled: [withSession.cursor.id] }
  )
  t.match(
    await two.command(
      { killCursors: 'things', cursors: [withSession.cursor.id, 'x'] }
    ).catch(({ code }) => code),
    14
  )
  t.equal(await codeOf(two.command({ getMore: withSession.cursor.id, collection: 'things' })), 43)
  await session.endSession()
  t.match(
    await one.command({ getMore: its, collection: 'things' }), { cursor: { nextBatch: [{ name: '_id_' }] } }
  )
  t.match(await one.command({ killCursors: 'things', cursors: [mine] }), { cursorsKilled: [mine] })
})

test('users are made, told of, changed and dropped', async (t) => {
  const { admin, user } = await secured(t)
  const app = admin.client.db('app')
  const dropped = { code: 11, codeName: 'UserNotFound' }
  await user('reader', ['read', { role: 'read', db: 'other' }])
  await user('reader', ['readWrite'], 'other')
  const reader = {
    _id: 'app.reader',
    user: 'reader',
    db: 'app',
    roles: [{ role: 'read', db: 'app' }, { role: 'read', db: 'other' }],
    mechanisms: ['SCRAM-SHA-256']
  }
  const { users } = await app.command({ usersInfo: 1 })
  t.same(
    users.map(({ userId, ...rest }: Document) => rest), [reader], 'never what a password could be tried by'
  )
  t.match(users[0].userId.toString(), /^[0-9a-f-]{36}$/)
  t.match(await app.command({ usersInfo: 'reader' }), { users: [reader] })
  t.match(await admin.command({ usersInfo: { user: 'reader', db: 'app' } }), { users: [reader] })
  t.match(
    await app.command({ usersInfo: ['reader', { user: 'root', db: 'admin' }, 'nobody'] }),
    { users: [{ user: 'root' }, reader] }
  )
  t.equal((await admin.command({ usersInfo: { forAllDBs: true } })).users.length, 3)
  t.same((await app.command({ usersInfo: 'nobody' })).users, [])
  t.match(await failure(app.command({ usersInfo: 1, showCredentials: true })), { code: 115 })
  t.match(
    await failure(app.command({ createUser: 'reader', pwd: 'x', roles: [] })),
    { code: 51003, message: 'User "reader@app" already exists' }
  )
  t.match(await failure(app.command({ updateUser: 'nobody', pwd: 'x' })), dropped)
  t.match(await failure(app.command({ dropUser: 'nobody' })), dropped)
  for (const [change, code] of [
    [{ pwd: '' }, 2], [{ pwd: undefined }, 2], [{ pwd: 5 }, 14], [{ roles: 'read' }, 14],
    [{ roles: undefined }, 40414], [{ roles: [5] }, 2], [{ roles: [{ role: 'read' }] }, 2],
    [{ roles: [{ role: 'read', db: '*' }] }, 73], [{ roles: ['root'] }, 31], [{ roles: ['owner'] }, 31],
    [{ roles: [{ role: 'readAnyDatabase', db: 'app' }] }, 31], [{ createUser: '' }, 2],
    [{ createUser: 5 }, 14], [{ createUser: 'a\0b' }, 2], [{ mechanisms: ['SCRAM-SHA-1'] }, 2],
    [{ digestPassword: false }, 2], [{ customData: { a: 1 } }, 115], [{ authenticationRestrictions: [] }, 115]
  ] as Array<[Document, number]>) {
    const error = await failure(
      app.command({ createUser: 'new', pwd: 'secret word', roles: [], ...change }, { ignoreUndefined: true })
    )
    t.match(error, { code }, JSON.stringify(change))
    t.notMatch(error.message, /secret word/)
  }
  t.match(await failure(app.command({ updateUser: 'reader' })), { code: 2 })
  t.match(await failure(app.command({ updateUser: 'reader', roles: ['owner'] })), { code: 31 })
  await app.command({ createUser: 'new', pwd: 'x', roles: [], mechanisms: ['SCRAM-SHA-256', 'SCRAM-SHA-1'] })
  await app.command({ updateUser: 'new', pwd: 'y', roles: ['dbOwner'] })
  t.match(await app.command({ usersInfo: 'new' }), { users: [{ roles: [{ role: 'dbOwner', db: 'app' }] }] })
  await app.dropDatabase()
  t.equal((await app.command({ usersInfo: 1 })).users.length, 2, 'users stay when their database is dropped')
  await app.command({ dropUser: 'new' })
  t.equal((await app.command({ usersInfo: 1 })).users.length, 1)
})

test('who may make users may give the roles of the databases only on which it may', async (t) => {
  const { as, user } = await secured(t)
  await user('keeper', ['userAdmin'])
  await user('wide', [{ role: 'userAdminAnyDatabase', db: 'admin' }])
  await user('reader', ['read'])
  const keeper = as('keeper').db('app')
  const make = (roles: Array<string | Document>): Promise<number> => codeOf(
    keeper.command({ createUser: 'made', pwd: 'x', roles })
  )
  t.equal(await make([{ role: 'root', db: 'admin' }]), 13)
  t.equal(await make(['read', { role: 'read', db: 'other' }]), 13)
  t.equal(await make(['dbOwner']), 0)
  t.equal(
    await codeOf(keeper.command({ updateUser: 'made', roles: ['read'] })), 13, 'it could take away any role'
  )
  t.equal(await codeOf(keeper.command({ updateUser: 'made', pwd: 'y' })), 0)
  t.equal(
    await codeOf(
      as('wide').db('app').command({ updateUser: 'made', roles: ['read', { role: 'dbOwner', db: 'other' }] })
    ),
    0
  )
  t.equal(await codeOf(keeper.command({ usersInfo: { user: 'root', db: 'admin' } })), 13)
  t.equal(await codeOf(keeper.command({ usersInfo: { forAllDBs: true } })), 13)
  t.equal(await codeOf(as('wide').db('admin').command({ usersInfo: { forAllDBs: true } })), 0)
  const reader = as('reader').db('app')
  t.match(
    await reader.command({ usersInfo: 'reader' }), { users: [{ user: 'reader' }] }, 'everybody may see itself'
  )
  t.equal(await codeOf(reader.command({ usersInfo: ['reader', 'made'] })), 13)
  t.equal(await codeOf(reader.command({ updateUser: 'reader', pwd: 'x' })), 13)
})

test('without users the first can be made in admin from this machine, and nothing else done', async (t) => {
  const { as, database } = await secured(t, { root: undefined, host: '0.0.0.0' })
  const nobody = as().db('admin')
  const first = { createUser: 'first', pwd: 'first-password', roles: ['root'] }
  for (const command of [
    { find: 'things' }, { usersInfo: 1 }, { listCollections: 1 }, { dropUser: 'first' },
    { updateUser: 'first', pwd: 'x' }
  ]) t.equal(await codeOf(nobody.command(command)), 13)
  t.equal(await codeOf(nobody.client.db('app').command(first)), 13)
  const outside = Object.values(networkInterfaces()).flat().find(
    (address) => address?.family === 'IPv4' && !address.internal
  )?.address
  if (outside !== undefined) {
    const remote = new MongoClient(`mongodb://${outside}:${database.port}`)
    t.equal(await codeOf(remote.db('admin').command(first)), 13, 'from outside')
    await remote.close()
  }
  t.equal(await codeOf(nobody.command({ ...first, roles: ['owner'] })), 31)
  t.equal(await codeOf(nobody.command(first)), 0)
  t.equal(await codeOf(nobody.command({ ...first, createUser: 'second' })), 13)
  t.equal(await codeOf(as('first', undefined, 'admin').db('app').command({ dropDatabase: 1 })), 0)
})

test('no command reaches where users are kept', async (t) => {
  const { admin, database } = await secured(t)
  t.same((await admin.listCollections().toArray()), [])
  for (const name of ['$users', '%24users']) {
    const [answer] = await exchange(database.port, opMsg({ find: 'users', $db: name })) as Document[]
    t.match(answer, { ok: 0 })
  }
  await admin.client.db('%24users').collection('users').insertOne({})
  t.match(await admin.command({ usersInfo: 1 }), { users: [{ user: 'root' }] })
})

test('a process requires logins, makes its root user and keeps users over kill -9', async (t) => {
  const dataDir = dataDirectory(t)
  const file = join(dataDirectory(t), 'password')
  writeFileSync(file, 'a Secret word\n')
  const settings = {
    DATA_DIR: dataDir,
    AUTHORIZATION: 'enabled',
    LOG_LEVEL: 'trace',
    MONGO_INITDB_ROOT_USERNAME: 'root',
    MONGO_INITDB_ROOT_PASSWORD_FILE: file
  }
  const logs: string[] = []
  const connection = (port: number, password: string): MongoClient => new MongoClient(
    `mongodb://127.0.0.1:${port}`, { auth: { username: 'root', password } }
  )
  const first = await run(t, settings)
  const client = connection(first.port, 'a Secret word')
  await client.db('app').command({ createUser: 'app', pwd: 'another Secret word', roles: ['readWrite'] })
  await codeOf(
    client.db('app').command({ createUser: 'app', pwd: 'another Secret word', roles: ['readWrite'] })
  )
  await client.db('admin').command({ updateUser: 'root', pwd: 'third Secret word' })
  first.child.kill('SIGKILL')
  await Promise.all([first.exit, client.close()])
  logs.push(...first.out, first.err())

  const second = await run(t, settings)
  const old = connection(second.port, 'a Secret word')
  t.equal(await codeOf(old.db('app').command({ ping: 1 })), 18, 'the root user is made once')
  const now = connection(second.port, 'third Secret word')
  t.match(await now.db('app').command({ usersInfo: 'app' }), { users: [{ user: 'app' }] })
  const app = new MongoClient(`mongodb://app:another%20Secret%20word@127.0.0.1:${second.port}/app`)
  await app.db().collection('things').insertOne({})
  await Promise.all([old.close(), now.close(), app.close()])
  second.child.kill('SIGTERM')
  t.equal(await second.exit, 0)
  logs.push(...second.out, second.err())
  t.ok(logs.some((line) => line.includes('authentication failed')))
  t.notMatch(logs.join('\n'), /Secret/)
  const names = readdirSync(dataDir)
  t.ok(names.length >= 3)
  for (const name of names) t.notOk(readFileSync(join(dataDir, name)).includes('Secret'), name)

  const byDefault = await run(t, { DATA_DIR: dataDir, AUTHORIZATION: undefined as unknown as string })
  const nobody = new MongoClient(`mongodb://127.0.0.1:${byDefault.port}`)
  t.equal(await codeOf(nobody.db('app').collection('things').findOne()), 13)
  await nobody.close()
  byDefault.child.kill('SIGTERM')
  await byDefault.exit
})

test('settings of the root user that are wrong stop the start with one line', async (t) => {
  const DATA_DIR = dataDirectory(t)
  const file = join(dataDirectory(t), 'password')
  const errorOf = async (env: Record<string, string>): Promise<string> => {
    const started = await run(t, { DATA_DIR, ...env })
    t.equal(await started.exit, 1)
    return started.err()
  }
  const both = { MONGO_INITDB_ROOT_USERNAME: 'root', MONGO_INITDB_ROOT_PASSWORD_FILE: file }
  t.match(await errorOf({ AUTHORIZATION: 'yes' }), /^database: [^\n]*AUTHORIZATION[^\n]*\n$/)
  t.match(
    await errorOf({ MONGO_INITDB_ROOT_USERNAME: 'root' }),
    /^database: [^\n]*MONGO_INITDB_ROOT_PASSWORD_FILE[^\n]*\n$/
  )
  t.match(
    await errorOf({ MONGO_INITDB_ROOT_PASSWORD_FILE: file }),
    /^database: [^\n]*MONGO_INITDB_ROOT_USERNAME[^\n]*\n$/
  )
  t.match(await errorOf(both), /^database: MONGO_INITDB_ROOT_PASSWORD_FILE cannot be read: ENOENT[^\n]*\n$/)
  writeFileSync(file, '\n')
  t.match(await errorOf(both), /^database: MONGO_INITDB_ROOT_PASSWORD_FILE names an empty file\n$/)
})
