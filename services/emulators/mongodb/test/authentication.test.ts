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
import { levelOf, levels } from '../access/authorization.ts'
import { commandNames } from '../commands/run.ts'
import { loadConfig } from '../config.ts'
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
const first = (name: string): Document => ({
  saslStart: 1,
  mechanism: 'SCRAM-SHA-256',
  payload: new Binary(Buffer.from(`n,,n=${name},r=${nonce}`)),
  options: { skipEmptyExchange: true }
})

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
  t.same(commandNames.filter((name) => !levelOf.has(name)), [])
  t.same([...levelOf.keys()].filter((name) => !commandNames.includes(name)), [])
  t.end()
})

test('without auth everybody may do everything, and a user may log in all the same', async (t) => {
  const { as, admin, user } = await secured(t, { auth: false })
  await user('reader', ['read'])
  await as().db('app').collection('things').insertOne({})
  const reader = as('reader')
  await reader.db('app').collection('things').insertOne({})
  t.match(await failure(as('reader', 'wrong').db('app').command({ ping: 1 })), { code: 18 })
  t.equal((await admin.client.db('app').command({ listCollections: 1 })).cursor.firstBatch.length, 1)
})

test('who is not logged in may greet and log in, nothing else', async (t) => {
  const { as, admin } = await secured(t)
  const nobody = as().db('app')
  for (const command of ['hello', 'isMaster', 'ping']) {
    t.match(await nobody.command({ [command]: 1 }), { ok: 1 }, command)
  }
  for (const name of commandNames) {
    if (levelOf.get(name) === levels.open) continue
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
  const { as, user } = await secured(t)
  await user('reader', ['read', { role: 'readWrite', db: 'other' }])
  const reader = as('reader')
  t.same(await reader.db('app').collection('things').find().toArray(), [])
  t.equal(await codeOf(reader.db('other').collection('things').insertOne({})), 0)
  t.equal(await codeOf(reader.db('app').collection('things').insertOne({})), 13)
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
})

test('names of any characters and passwords of printable ASCII serve', async (t) => {
  const { as, admin } = await secured(t)
  for (const [name, password] of [
    ['a=b', 'x'], ['a,b', 'p,=/:@"'], ['é@b.c', ' ~'], ['two words', 'two words']
  ] as const) {
    await admin.command({ createUser: name, pwd: password, roles: [{ role: 'read', db: 'app' }] })
    t.match(await as(name, password, 'admin').db('app').command({ count: 'things' }), { n: 0 }, name)
  }
  for (const pwd of ['é', 'I\u00adX', '\u2168', 'a\n']) {
    t.match(await failure(admin.command({ createUser: 'other', pwd, roles: [] })), { code: 115 })
  }
})

test('a handshake begins a login, and a wrong proof ends it', async (t) => {
  const { database, user } = await secured(t)
  await user('reader', ['read'])
  const send = await raw(t, database.port)
  const hello = await send(
    { hello: 1, saslSupportedMechs: 'app.reader', speculativeAuthenticate: { ...first('reader'), db: 'app' } }
  )
  t.same(hello.saslSupportedMechs, ['SCRAM-SHA-256'])
  t.match(hello.speculativeAuthenticate, { conversationId: 1, done: false })
  const answer = hello.speculativeAuthenticate.payload.toString()
  const [, r, salt] = /^r=(.*),s=(.*),i=15000$/.exec(answer)!
  t.ok(r!.startsWith(nonce) && r !== nonce)
  t.equal(Buffer.from(salt!, 'base64').length, 28)
  const failed = { ok: 0, code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' }
  t.same(await send(next(final('reader', 'wrong', answer).message)), failed)
  t.same(
    await send(next(final('reader', 'wrong', answer).message)),
    { ok: 0, code: 17, codeName: 'ProtocolError', errmsg: 'No SASL session state found' }
  )
  t.same(await send(first('nobody')), failed)
})

test('a client is logged in after its proof, on a connection of one user', async (t) => {
  const { database, user } = await secured(t)
  await user('reader', ['read'])
  await user('other', ['readWrite'])
  const send = await raw(t, database.port)
  t.match(await send({ ...first('reader'), options: {} }), { code: 115 }, 'without skipEmptyExchange')
  const start = await send(first('reader'))
  const { message, verifier } = final('reader', 'reader-password', start.payload.toString())
  t.match(await send({ count: 'things' }), { code: 13 })
  t.match(
    await send(next(message)), { done: true, conversationId: 1, payload: Buffer.from(verifier), ok: 1 }
  )
  t.match(await send({ count: 'things' }), { n: 0, ok: 1 })
  t.match(await send(next('')), { code: 17 })
  const change = await send(first('other'))
  t.match(
    await send(next(final('other', 'other-password', change.payload.toString()).message)), { code: 5626701 }
  )
  t.match(await send({ insert: 'things', documents: [{}] }), { code: 13 }, 'it is still the first')
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
    { ok: 0, code: 17, errmsg: 'No SASL session state found' }
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

  const started = await send(payload(`y,a=reader,n=reader,r=${nonce},x=1`))
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
  t.match(await as('reader').db('app').command({ count: 'things' }), { n: 0 }, 'others are served on')
})

test('a changed password is for new logins, and keeps the connections there are', async (t) => {
  const { as, user, admin } = await secured(t)
  await user('reader', ['read'])
  const before = as('reader')
  await before.db('app').command({ count: 'things' })
  await admin.command({ updateUser: 'root', pwd: 'another root password' })
  t.match(await admin.command({ usersInfo: 'root' }), { ok: 1 })
  await as('root', 'another root password', 'admin').db('app').command({ updateUser: 'reader', pwd: 'other' })
  t.match(await before.db('app').command({ count: 'things' }), { n: 0 })
  t.equal(await codeOf(as('reader').db('app').command({ ping: 1 })), 18)
  t.match(await as('reader', 'other').db('app').command({ count: 'things' }), { n: 0 })
})

test('a password that is changed between the two messages of a login is not enough', async (t) => {
  const { database, user, as } = await secured(t)
  await user('reader', ['read'])
  const send = await raw(t, database.port)
  const start = await send(first('reader'))
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
  await user('reader', ['readWrite'])
  t.match(await failure(reader.db('app').command({ count: 'things' })), { code: 13 })
  t.match(await as('reader').db('app').command({ count: 'things' }), { n: 0 })
})

const commands: Record<string, Document[]> = {
  read: [
    { find: 'things' }, { count: 'things' }, { explain: { find: 'things' } }, { listCollections: 1 },
    { aggregate: 'things', pipeline: [{ $group: { _id: 1, n: { $sum: 1 } } }], cursor: {} },
    { listIndexes: 'things' }, { killCursors: 'things', cursors: [] }
  ],
  write: [
    { insert: 'things', documents: [{}] }, { update: 'things', updates: [{ q: {}, u: { $set: { a: 1 } } }] },
    { delete: 'things', deletes: [{ q: {}, limit: 1 }] },
    { createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a' }] },
    { dropIndexes: 'things', index: '*' }
  ],
  administer: [
    { dropDatabase: 1 }, { createUser: 'made', pwd: 'x', roles: ['read'] }, { updateUser: 'made', pwd: 'y' },
    { usersInfo: 'made' }, { dropUser: 'made' }, { serverStatus: 1 }
  ]
}

const all = ['read', 'write', 'administer']
const roles: Array<[role: string, here: string[], elsewhere: string[]]> = [
  ['read', ['read'], []],
  ['readWrite', ['read', 'write'], []],
  ['readAnyDatabase', ['read'], ['read']],
  ['root', all, all]
]

for (const [role, here, elsewhere] of roles) {
  test(`the role ${role} grants what it does in MongoDB, and no more`, async (t) => {
    const { as, user, admin } = await secured(t)
    await user('somebody', ['root', 'readAnyDatabase'].includes(role) ? [{ role, db: 'admin' }] : [role])
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
  await user('somebody', ['readWrite', { role: 'readAnyDatabase', db: 'admin' }])
  const client = as('somebody')
  t.equal(await codeOf(client.db('app').collection('things').insertOne({})), 0)
  t.equal(await codeOf(client.db('app').command({ dropDatabase: 1 })), 13)
  t.equal(await codeOf(client.db('third').collection('things').findOne()), 0)
  t.match(
    await failure(client.db('third').collection('things').insertOne({})),
    { code: 13, message: 'not authorized on third to execute command { insert: "things" }' }
  )
})

test('a cursor is of the user that opened it', async (t) => {
  const { as, user, admin } = await secured(t)
  await admin.client.db('app').collection('things').insertMany(Array.from({ length: 300 }, (_, i) => ({ i })))
  await user('one', ['read'])
  await user('two', ['readWrite'])
  const one = as('one').db('app')
  const mine = (await one.command({ find: 'things' })).cursor.id
  const two = as('two').db('app')
  t.match(
    await failure(two.command({ getMore: mine, collection: 'things' })),
    { code: 13, message: /was not created by the authenticated user/ }
  )
  t.equal(await codeOf(two.command({ killCursors: 'things', cursors: [mine] })), 13)
  t.equal(await codeOf(two.command({ killCursors: 'things', cursors: ['x'] })), 14)
  t.match(await one.command({ killCursors: 'things', cursors: [mine] }), { cursorsKilled: [mine] })
  t.equal(await codeOf(one.command({ getMore: mine, collection: 'things' })), 43)
})

test('users are created, listed, changed and dropped', async (t) => {
  const { admin, user } = await secured(t)
  const app = admin.client.db('app')
  const dropped = { code: 11, codeName: 'UserNotFound' }
  await user('reader', ['read', { role: 'read', db: 'other' }])
  await user('reader', ['readWrite'], 'other')
  const { users: [{ userId, ...described }] } = await app.command({ usersInfo: 'reader' })
  t.same(described, {
    _id: 'app.reader',
    user: 'reader',
    db: 'app',
    roles: [{ role: 'read', db: 'app' }, { role: 'read', db: 'other' }],
    mechanisms: ['SCRAM-SHA-256']
  }, 'never what a password could be tried by')
  t.match(userId.toString(), /^[0-9a-f-]{36}$/)
  t.same((await app.command({ usersInfo: 'nobody' })).users, [])
  for (const asked of [1, ['reader'], { user: 'reader', db: 'app' }, { forAllDBs: true }]) {
    t.match(await failure(app.command({ usersInfo: asked })), { code: 115 })
  }
  t.match(
    await failure(app.command({ createUser: 'reader', pwd: 'x', roles: [] })),
    { code: 51003, message: 'User "reader@app" already exists' }
  )
  t.match(await failure(app.command({ updateUser: 'nobody', pwd: 'x' })), dropped)
  t.match(await failure(app.command({ dropUser: 'nobody' })), dropped)
  for (const [change, code] of [
    [{ pwd: '' }, 2], [{ pwd: undefined }, 14], [{ pwd: 5 }, 14], [{ roles: 'read' }, 14],
    [{ roles: undefined }, 40414], [{ roles: [5] }, 2], [{ roles: [{ role: 'read' }] }, 2],
    [{ roles: [{ role: 'read', db: '*' }] }, 73], [{ roles: ['root'] }, 31], [{ roles: ['owner'] }, 31],
    [{ roles: ['dbOwner'] }, 31], [{ roles: [{ role: 'readAnyDatabase', db: 'app' }] }, 31],
    [{ createUser: '' }, 2], [{ createUser: 5 }, 14], [{ createUser: 'a\0b' }, 2],
    [{ mechanisms: ['SCRAM-SHA-1'] }, 115], [{ digestPassword: true }, 115], [{ customData: { a: 1 } }, 115],
    [{ authenticationRestrictions: [] }, 115]
  ] as Array<[Document, number]>) {
    const error = await failure(
      app.command({ createUser: 'new', pwd: 'secret word', roles: [], ...change }, { ignoreUndefined: true })
    )
    t.match(error, { code }, JSON.stringify(change))
    t.notMatch(error.message, /secret word/)
  }
  t.match(await failure(app.command({ updateUser: 'reader' })), { code: 14 })
  await app.dropDatabase()
  t.equal((await app.command({ usersInfo: 'reader' })).users.length, 1, 'users stay without their database')
  await app.command({ dropUser: 'reader' })
  t.same((await app.command({ usersInfo: 'reader' })).users, [])
  t.equal((await admin.client.db('other').command({ usersInfo: 'reader' })).users.length, 1)
})

test('without users the first can be made in admin from this machine, and nothing else done', async (t) => {
  const { as, database } = await secured(t, { root: undefined, host: '0.0.0.0' })
  const nobody = as().db('admin')
  const first = { createUser: 'first', pwd: 'first-password', roles: ['root'] }
  for (const command of [
    { find: 'things' }, { usersInfo: 'x' }, { listCollections: 1 }, { dropUser: 'first' },
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
  t.match(await admin.command({ usersInfo: 'root' }), { users: [{ user: 'root' }] })
})

test('a process requires logins, creates its root user and keeps users over kill -9', async (t) => {
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
  t.equal(await codeOf(old.db('app').command({ ping: 1 })), 18)
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

test('wrong settings of logins are named', async (t) => {
  const DATA_DIR = dataDirectory(t)
  const file = join(dataDirectory(t), 'password')
  // A process prints such an error as one line: server.test.ts
  const refused = (env: NodeJS.ProcessEnv, message: RegExp) =>
    t.throws(() => loadConfig({ DATA_DIR, PORT: '0', ...env }), { message })
  const user = { MONGO_INITDB_ROOT_USERNAME: 'root' }
  const password = { MONGO_INITDB_ROOT_PASSWORD_FILE: file }
  refused({ AUTHORIZATION: 'yes' }, /^[^\n]*AUTHORIZATION[^\n]*$/)
  refused(user, /^[^\n]*MONGO_INITDB_ROOT_PASSWORD_FILE[^\n]*$/)
  refused(password, /^[^\n]*MONGO_INITDB_ROOT_USERNAME[^\n]*$/)
  refused({ ...user, ...password }, /^MONGO_INITDB_ROOT_PASSWORD_FILE cannot be read: ENOENT[^\n]*$/)
  writeFileSync(file, '\n')
  refused({ ...user, ...password }, /^\w+ names an empty file$/)
})
