import { MongoClient } from 'mongodb'
import t, { type Test } from 'tap'
import { withCredentials } from '../connection-string.ts'
import { databaseUsers } from '../database-users.ts'
import { randomSecret } from '../strategy.ts'
import { rotate } from '../rotate.ts'
import {
  codeOf, connect, interruption, Interrupted, loginOf, startRotation, startUsers, vaultClient
} from './rotation.ts'

const NAME = 'patient-db-connection'
const UNAUTHORIZED = 13
const AUTHENTICATION_FAILED = 18

const rotation = await startRotation(t)
const { vault, run, set, read, remove, recover } = rotation
const { chain, counts, activate, validVersions, toldValues } = rotation
const { admin, adminConnection, address, begin } = await startUsers(t, rotation)
const client = vaultClient(t, vault)
const OPTIONS = { refreshSeconds: 60, graceSeconds: 600 }

const userOf = (connection: string) => new MongoClient(connection).options.credentials!.username

/** Which versions the vault would have in force log in. */
async function logins (name: string) {
  return Promise.all((await validVersions(name)).map(async ({ value: use }) => await loginOf(use) === 0))
}

async function anyLogsIn (name: string) {
  for (const { value: use } of await validVersions(name)) if (await loginOf(use) === 0) return true
  return false
}

t.test('the two users take turns', async (t) => {
  const first = await begin(NAME)
  const early = await connect(t, first.value)

  t.equal((await run([NAME])).code, 0)
  const second = await read(NAME)
  t.equal(userOf(second.value), 'patient-b')
  t.equal(
    second.value.replace(/\/\/.*@/, ''),
    first.value.replace(/\/\/.*@/, ''),
    'all else of the connection string stays'
  )
  t.strictSame(await logins(NAME), [true, true])
  t.equal(await codeOf(early), 0)

  await activate(NAME)
  await rotate(client, NAME, databaseUsers(admin), OPTIONS)
  const third = await read(NAME)
  t.equal(userOf(third.value), 'patient-a')
  t.equal(await loginOf(third.value), 0)
  t.equal(await loginOf(second.value), 0)
  t.equal(await loginOf(first.value), AUTHENTICATION_FAILED, "the idle user's former password is refused")
  t.equal(await codeOf(early), 0, 'whoever is connected goes on')
  const passwordOf = ({ value }: { value: string }) => new MongoClient(value).options.credentials!.password
  t.equal(new Set([first, second, third].map(passwordOf)).size, 3)
})

t.test('a password has 256 bits, and all characters of users and passwords come through', async (t) => {
  await admin.db('other').command({ createUser: '@:/-b', pwd: randomSecret(), roles: [] })
  const connection =
    'mongodb://%40%3A%2F-a:x%25y@localhost:1,localhost:2/base?authSource=other&replicaSet=one'
  const renewed = await databaseUsers(admin).createValue(connection)
  t.match(
    renewed,
    /^mongodb:\/\/%40%3A%2F-b:[\w-]{43}@localhost:1,localhost:2\/base\?authSource=other&replicaSet=one$/
  )
  t.equal(
    withCredentials('mongodb+srv://a:b@host/', '@:/?', 'ü%'),
    'mongodb+srv://%40%3A%2F%3F:%C3%BC%25@host/'
  )
})

t.test('when a connection string has leaked, who is logged in by it has no rights any more', async (t) => {
  const first = await begin(NAME)
  const intruder = await connect(t, first.value)
  const { code, stderr } = await run([NAME, '--leaked'])
  t.equal(code, 0, stderr)
  const [newest, previous] = await chain(NAME)
  t.strictSame([userOf(newest!.value), newest!.notBefore], ['patient-b', undefined])
  t.equal(previous!.id, first.id)
  t.ok(previous!.expiresOn! <= new Date())
  t.equal(await codeOf(intruder), UNAUTHORIZED)
  t.equal(await loginOf(first.value), AUTHENTICATION_FAILED)
  t.equal(await loginOf(newest!.value), 0)

  t.test('and the user that was made anew has its turn, with its roles', async (t) => {
    await rotate(client, NAME, databaseUsers(admin), OPTIONS)
    const { value } = await read(NAME)
    t.equal(userOf(value), 'patient-a')
    const service = await connect(t, value)
    await service.db().collection('things').insertOne({})
    t.equal(await codeOf(intruder), UNAUTHORIZED)
  })
})

t.test('when it has leaked while a rotation is under way, neither version opens anything', async (t) => {
  const first = await begin(NAME)
  await rotate(client, NAME, databaseUsers(admin), OPTIONS)
  const second = await read(NAME)
  const intruders = [await connect(t, first.value), await connect(t, second.value)]
  await rotate(client, NAME, databaseUsers(admin), { ...OPTIONS, leaked: true })
  t.strictSame(await Promise.all(intruders.map(codeOf)), [UNAUTHORIZED, UNAUTHORIZED])
  const refused = [AUTHENTICATION_FAILED, AUTHENTICATION_FAILED]
  t.strictSame(await Promise.all([first, second].map(({ value }) => loginOf(value))), refused)
  t.strictSame(await logins(NAME), [true])
})

t.test('the vault has a password before the database does', async (t) => {
  await begin(NAME)
  const { steps, ...counted } = interruption()
  await rotate(counted.vault(client), NAME, databaseUsers(counted.admin(admin)), OPTIONS)
  t.ok(steps.indexOf('setSecret') > 0)
  t.ok(steps.indexOf('setSecret') < steps.lastIndexOf('updateUser'))
  t.equal(steps.at(-1), 'updateSecretProperties')
})

const situations: Array<[what: string, leaked: boolean, before: (t: Test) => Promise<void>]> = [
  ['a rotation', false, async () => {}],
  ['a rotation after a leak, with another under way,', true, async () => {
    await rotate(client, NAME, databaseUsers(admin), OPTIONS)
  }]
]

for (const [what, leaked, before] of situations) {
  t.test(`${what} may be interrupted at any step in vault and database, and repeated`, async (t) => {
    const options = { ...OPTIONS, leaked }
    let steps = 0
    for (let ended = false; !ended; steps++) {
      const first = await begin(NAME)
      await before(t)
      const intruders = await Promise.all(
        (await validVersions(NAME)).map(({ value: use }) => connect(t, use))
      )
      const interrupted = interruption(steps)
      try {
        await rotate(interrupted.vault(client), NAME, databaseUsers(interrupted.admin(admin)), options)
        ended = true
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error
      }
      const at = `after ${interrupted.steps.at(-1)} (${steps})`
      t.ok(await anyLogsIn(NAME), `${at} a version in force logs in`)
      const done = await rotate(client, NAME, databaseUsers(admin), options)
      const [newest, previous] = await chain(NAME)
      t.equal(newest!.id, done.version)
      t.equal(newest!.expiresOn, undefined)
      t.ok(previous!.expiresOn)
      t.equal((await chain(NAME)).at(-1)!.id, first.id, 'the chain leads to the first')
      if (leaked) {
        t.strictSame(await logins(NAME), [true], 'repeated, the newest logs in')
        t.strictSame(
          await Promise.all(intruders.map(codeOf)),
          intruders.map(() => UNAUTHORIZED),
          'and no former login has rights'
        )
      } else {
        t.strictSame(await logins(NAME), [true, true], 'repeated, the newest logs in')
      }
      await Promise.all(intruders.map((intruder) => intruder.close()))
    }
    t.ok(steps > 8, `${steps} steps`)
  })
}

t.test('two commands at the same time end with a connection string that logs in', async (t) => {
  await begin(NAME)
  const results = await Promise.all([run([NAME]), run([NAME])])
  t.strictSame(results.map(({ code }) => code), [0, 0])
  t.strictSame((await logins(NAME)).slice(0, 2), [true, true])
})

t.test('so do many more rotations', async (t) => {
  const admins = [admin, await connect(t, adminConnection)]
  let added = 0
  for (let round = 1; round <= 10; round++) {
    await activate(NAME)
    const results = await Promise.all(
      admins.map((admin) => rotate(client, NAME, databaseUsers(admin), OPTIONS))
    )
    added += results.filter((result) => result.added).length
    const [newest, previous] = await chain(NAME)
    t.strictSame([await loginOf(newest!.value), await loginOf(previous!.value)], [0, 0], `round ${round}`)
    t.ok(previous!.expiresOn)
  }
  t.ok(added > 10, `${added - 10} times each of them added a version`)
})

t.test('what cannot be changed is reported in one line each, and nothing changes', async (t) => {
  async function fail (t: Test, lines: Record<string, RegExp>) {
    const before = await counts()
    const { code, stdout, stderr } = await run(Object.keys(lines))
    t.equal(code, 1)
    t.equal(stdout, '')
    const told = stderr.split('\n')
    for (const [i, [name, reason]] of Object.entries(lines).entries()) {
      t.ok(told[i]!.startsWith(`${name}: `))
      t.match(told[i]!.slice(name.length + 2), reason)
    }
    t.equal(told.length, Object.keys(lines).length + 1)
    t.strictSame(await counts(), before)
  }

  t.test('no admin, no user in the connection string, and none in the database', async (t) => {
    await remove('patient-db-admin-connection')
    await set('audit-db-connection', `mongodb://${address}/audit`)
    for (const turn of ['a', 'b']) await admin.db('audit').command({ dropUser: `audit-viewer-${turn}` })
    await fail(t, {
      [NAME]:
        /^patient-db-admin-connection does not exist: connection strings set by hand are changed by hand$/,
      'audit-db-connection': /^this connection string was set by hand; change it by hand$/,
      'audit-db-viewer-connection': /^the database has neither of its users$/
    })
    await recover('patient-db-admin-connection')
  })

  t.test('an admin that may not change users, and one that the database does not know', async (t) => {
    const password = randomSecret()
    await admin.db('admin').command({ createUser: 'reader', pwd: password, roles: ['readAnyDatabase'] })
    await set('patient-db-admin-connection', withCredentials(adminConnection, 'reader', password))
    await set('audit-db-admin-connection', withCredentials(adminConnection, 'root', randomSecret()))
    await begin(NAME)
    const refused = /^audit-db-admin-connection: the database refuses the login \(18\)$/
    await fail(t, {
      [NAME]: /^the database refuses the change \(13\)$/,
      'audit-db-connection': refused,
      'audit-db-viewer-connection': refused
    })
  })
})

t.test('a connection string that was set by hand is left to whoever set it', async (t) => {
  const users = databaseUsers(admin)
  const byHand = {
    name: 'RotationError',
    message: 'this connection string was set by hand; change it by hand'
  }
  for (const connection of [
    `mongodb://service:${randomSecret()}@${address}/patient`,
    `mongodb://patient-a@${address}/patient`,
    `mongodb://${address}/patient`
  ]) {
    await t.rejects(users.createValue(connection), byHand)
    await t.rejects(users.activate(connection, false), byHand)
    await t.rejects(users.revokeOthers(connection), byHand)
  }
})

t.test('a connection string without a password is skipped, which is no failure', async (t) => {
  await set(NAME, 'mongodb+srv://a-client-id@cluster.example/?authMechanism=MONGODB-OIDC')
  const before = await counts()
  const { code, stdout, stderr } = await run([NAME, '--leaked'])
  t.match({ code, stdout, stderr }, {
    code: 0, stdout: `${NAME}: holds no password: its service logs in with tokens\n`, stderr: ''
  })
  t.strictSame(await counts(), before)
})

t.test('it shows no value of a key or password', async (t) => {
  t.strictSame((await toldValues()).told, [])
})
