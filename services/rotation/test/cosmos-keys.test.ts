import t from 'tap'
import { CosmosKeys } from '../cosmos-keys.ts'
import { rotate } from '../rotate.ts'
import { startAccount } from './account.ts'
import { interruption, Interrupted, startRotation, vaultClient } from './rotation.ts'

const NAME = 'patient-db-connection'
const LIST = 'POST …/listConnectionStrings'
const REGENERATE = (keyKind: string) => `POST …/regenerateKey ${JSON.stringify({ keyKind })}`
const FOLLOW = /^GET \/(operations|results)\/\d+$/
const OPTIONS = { refreshSeconds: 60, graceSeconds: 600 }

const { vault, run, set, read, chain, validVersions, activate } = await startRotation(t)
const account = await startAccount(t)
const client = vaultClient(t, vault)
const keys = new CosmosKeys(account.client, account.id)

const calls = () => account.calls().filter((call) => !FOLLOW.test(call))
/** A connection string of the account as the driver takes it: the account tells its keys as they are. */
const connectionOf = (kind: Parameters<typeof account.connection>[0]) =>
  account.connection(kind).replace(/:([^:@]+)@/, (_all, key: string) => `:${encodeURIComponent(key)}@`)

const kindsOf = (connections: string[]) =>
  connections.map((connection) =>
    (['primary', 'secondary'] as const).find((kind) => connectionOf(kind) === connection)
  )
const kinds = async () => kindsOf((await chain(NAME)).map(({ value }) => value))
const kindsInForce = async () => kindsOf((await validVersions(NAME)).map(({ value: use }) => use))

for (const follow of ['azure-asyncoperation', 'location'] as const) {
  t.test(`the idle key is regenerated, and the end of it awaited by ${follow}`, async (t) => {
    Object.assign(account.behaviour, { follow, pending: 1 })
    const before = { ...account.keys }
    const renewed = await keys.createValue(connectionOf('primary'))
    t.equal(renewed, connectionOf('secondary'))
    t.not(account.keys.secondary, before.secondary)
    t.strictSame({ ...account.keys, secondary: before.secondary }, before, 'no other key is')
    const told = account.calls()
    t.strictSame(told.filter((call) => !FOLLOW.test(call)), [LIST, REGENERATE('secondary'), LIST])
    t.ok(told.filter((call) => FOLLOW.test(call)).length >= 2)
    account.behaviour.pending = 0
  })
}

t.test('the two keys take turns', async (t) => {
  const first = await set(NAME, connectionOf('primary'))
  const { primary } = account.keys
  await rotate(client, NAME, keys, OPTIONS)
  t.strictSame(await kinds(), ['secondary', 'primary'])
  t.equal(account.keys.primary, primary)
  t.strictSame(calls().filter((call) => call !== LIST), [REGENERATE('secondary')])
  const { secondary } = account.keys

  t.equal((await rotate(client, NAME, keys, OPTIONS)).added, false)
  t.strictSame(calls().filter((call) => call !== LIST), [], 'one under way regenerates none')

  await activate(NAME)
  await rotate(client, NAME, keys, OPTIONS)
  t.strictSame(await kinds(), ['primary', 'secondary', undefined])
  t.equal(account.keys.secondary, secondary)
  t.not(account.keys.primary, primary)
  t.strictSame(calls().filter((call) => call !== LIST), [REGENERATE('primary')])
  t.equal((await chain(NAME))[2]!.id, first)
})

for (const leaked of [false, true]) {
  const situation = leaked ? 'a rotation after a leak' : 'a rotation'
  t.test(`${situation} may be interrupted at any step and repeated`, async (t) => {
    let steps = 0
    for (let ended = false; !ended; steps++) {
      await set(NAME, connectionOf('primary'))
      const former = { ...account.keys }
      const interrupted = interruption(steps)
      try {
        await rotate(interrupted.vault(client), NAME, keys, { ...OPTIONS, leaked })
        ended = true
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error
      }
      t.ok(
        (await kindsInForce()).some(Boolean),
        `after ${interrupted.steps.at(-1)} (${steps}) a version in force works`
      )
      await rotate(client, NAME, keys, { ...OPTIONS, leaked })
      const [newest, previous] = await chain(NAME)
      t.ok(kindsOf([newest!.value])[0], 'repeated, the newest works')
      t.equal(newest!.expiresOn, undefined)
      t.ok(previous!.expiresOn)
      if (leaked) {
        t.strictSame(
          (await validVersions(NAME)).map(({ id }) => id),
          [newest!.id]
        )
        t.ok(
          account.keys.primary !== former.primary && account.keys.secondary !== former.secondary,
          'neither former key does'
        )
      } else {
        t.strictSame(await kindsInForce(), ['secondary', 'primary'])
        t.equal(account.keys.primary, former.primary)
      }
    }
    t.ok(steps > 5, `${steps} steps`)
  })
}

t.test('when it has leaked the used key is regenerated last', async (t) => {
  await set(NAME, connectionOf('primary'))
  calls()
  await rotate(client, NAME, keys, { ...OPTIONS, leaked: true })
  t.strictSame(calls().filter((call) => call !== LIST), [REGENERATE('secondary'), REGENERATE('primary')])
  t.strictSame(await kinds(), ['secondary', undefined])
})

t.test('a value that is none of its connection strings is superseded by one that is', async (t) => {
  for (const value of [
    'mongodb://records:a-key-of-long-ago@records.mongo.localhost:10255/',
    connectionOf('primaryReadonly')
  ]) {
    const first = await set(NAME, value)
    calls()
    await rotate(client, NAME, keys, OPTIONS)
    const versions = await chain(NAME)
    t.strictSame(kindsOf(versions.map(({ value }) => value)), ['secondary', 'primary', undefined])
    t.strictSame(
      calls().filter((call) => call !== LIST),
      [REGENERATE('secondary')]
    )
    t.equal(versions[2]!.id, first)
    t.ok(versions[2]!.expiresOn && versions[1]!.expiresOn)
  }
})

t.test('rotations at the same time end with a version that works', async (t) => {
  for (let round = 1; round <= 5; round++) {
    await activate(NAME)
    await Promise.all([1, 2].map(() => rotate(client, NAME, keys, OPTIONS)))
    t.ok((await kinds())[0], `round ${round}`)
    t.ok((await chain(NAME))[1]!.expiresOn)
  }
})

t.test('an account without MongoDB connection strings is refused', async (t) => {
  account.behaviour.refusals = { listConnectionStrings: { status: 200, body: { connectionStrings: [] } } }
  await t.rejects(keys.createValue(connectionOf('primary')), {
    name: 'RotationError',
    message: 'the account records lists no MongoDB connection strings'
  })
  account.behaviour.refusals = {}
})

t.test('an error of Azure is reported by its code alone', async (t) => {
  const content = { message: `it has ${account.keys.primary}` }
  const refusals: Array<[call: string, status: number, body: object, told: string]> = [
    [
      'listConnectionStrings',
      404,
      { error: { code: 'ResourceNotFound', ...content } },
      '404 ResourceNotFound'
    ],
    ['regenerateKey', 409, { error: { code: 'Conflict', ...content } }, '409 Conflict'],
    ['operations', 200, { status: 'Failed', error: { code: 'Failed', ...content } }, 'Error'],
    ['operations', 404, content, '404']
  ]
  account.behaviour.follow = 'azure-asyncoperation'
  for (const [call, status, body, told] of refusals) {
    account.behaviour.refusals = { [call]: { status, body } }
    await t.rejects(keys.createValue(connectionOf('primary')), {
      name: 'RotationError',
      message: `the account records cannot be changed (${told})`
    })
  }
  account.behaviour.refusals = {}
})

t.test('the command asks the management API that its settings name, as its identity', async (t) => {
  const env = {
    PATIENT_COSMOS_ACCOUNT: account.id,
    AUDIT_COSMOS_ACCOUNT: account.id,
    RESOURCE_MANAGER_URI: account.uri,
    NODE_EXTRA_CA_CERTS: account.trusting(vault.ca),
    IDENTITY_ENDPOINT: account.identityEndpoint(vault)
  }
  await set(NAME, connectionOf('primary'))
  await set('audit-db-viewer-connection', connectionOf('primaryReadonly'))
  account.calls()
  const rotated = await run([NAME, 'audit-db-viewer-connection'], { env })
  t.equal(rotated.code, 1)
  t.match(rotated.stdout, new RegExp(`^${NAME}: ${(await read(NAME)).id} added, active from [^\n]*\n$`))
  t.equal(rotated.stderr, 'audit-db-viewer-connection: a Cosmos DB account has no separate user for it\n')
  t.strictSame(await kinds(), ['secondary', 'primary'])
  t.strictSame(calls().filter((call) => call !== LIST), [REGENERATE('secondary')])

  account.behaviour.refusals = {
    listConnectionStrings: {
      status: 403,
      body: { error: { code: 'AuthorizationFailed', message: account.keys.primary } }
    }
  }
  const refused = await run([NAME], { env })
  t.strictSame([refused.code, refused.stdout], [1, ''])
  t.equal(refused.stderr, `${NAME}: the account records cannot be changed (403 AuthorizationFailed)\n`)
  const told = [rotated, refused].map(({ stdout, stderr }) => stdout + stderr).join()
  t.ok(account.everyKey.size > 20)
  t.strictSame([...account.everyKey].filter((key) => told.includes(key)), [], 'no key is told')
})
