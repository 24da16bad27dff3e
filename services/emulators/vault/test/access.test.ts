import t from 'tap'
import { identities } from '../access.ts'
import { access, sdk, startVault } from './vault.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

/** Who opens what. Those with a star also change it; all others are denied. */
const opens: Record<string, string> = {
  'patient-host-key': 'gateway patient rotation* deployer*',
  'audit-host-key': 'patient audit rotation* deployer*',
  'audit-log-key': 'audit rotation* deployer*',
  'witness-key': 'witness rotation* deployer*',
  'audit-query-key': 'gateway audit rotation* deployer*',
  'patient-data-key': 'patient rotation* deployer*',
  'auditor-session-key': 'auditor rotation* deployer*',
  'patient-db-connection': 'patient rotation* deployer*',
  'audit-db-connection': 'audit rotation* deployer*',
  'audit-db-viewer-connection': 'viewer rotation* deployer*',
  'gateway-subscription-keys': 'gateway rotation* deployer*',
  'patient-db-admin-connection': 'rotation deployer*',
  'audit-db-admin-connection': 'rotation deployer*'
}
const names = ['gateway', 'patient', 'audit', 'witness', 'auditor', 'viewer', 'rotation', 'deployer']
// Of a list that fails, the SDK keeps no more than this
const LIST_FORBIDDEN = { statusCode: 403, code: 'Forbidden' }
const FORBIDDEN = { statusCode: 403, code: 'Forbidden', inner: 'ForbiddenByRbac' }

const vault = await startVault(t)
const deployer = sdk(t, vault, 'deployer')
const versions = new Map<string, string>()
for (const name of Object.keys(opens)) {
  const { properties: { version } } = await deployer('setSecret', name, `value of ${name}`)
  versions.set(name, version!)
}

t.strictSame(identities.map(({ name }) => name), names, 'access.json names these and no others')

for (const identity of names) {
  t.test(identity, async (t) => {
    const client = identity === 'deployer' ? deployer : sdk(t, vault, identity)
    for (const [name, who] of Object.entries(opens)) {
      const [mark] = who.split(' ').flatMap((one) => one.replace('*', '') === identity ? [one.at(-1)] : [])
      if (mark === undefined) {
        await t.rejects(client('getSecret', name), FORBIDDEN, `${identity} cannot open ${name}`)
        await t.rejects(
          client('getSecret', name, { version: versions.get(name) }),
          FORBIDDEN,
          'nor by version'
        )
        await t.rejects(
          client('listPropertiesOfSecretVersions', name),
          LIST_FORBIDDEN,
          'nor list its versions'
        )
      } else {
        t.equal((await client('getSecret', name)).value, `value of ${name}`, `${identity} opens ${name}`)
        t.equal(
          (await client('getSecret', name, { version: versions.get(name) })).value,
          `value of ${name}`,
          'and by version'
        )
        t.ok((await client('listPropertiesOfSecretVersions', name)).length, 'and lists its versions')
      }
      if (mark === '*') {
        t.ok(await client('setSecret', name, `value of ${name}`), `${identity} sets ${name}`)
        t.ok(
          await client('updateSecretProperties', name, versions.get(name)!, { enabled: true }),
          'and changes its properties'
        )
        await client('beginDeleteSecret', name, { intervalInMs: 1 })
        t.ok(
          await client('beginRecoverDeletedSecret', name, { intervalInMs: 1 }),
          'and deletes and recovers it'
        )
      } else {
        await t.rejects(client('setSecret', name, 'another'), FORBIDDEN, `${identity} cannot set ${name}`)
        await t.rejects(
          client('updateSecretProperties', name, versions.get(name)!, { enabled: false }),
          FORBIDDEN,
          'nor change its properties'
        )
        await t.rejects(client('beginDeleteSecret', name), FORBIDDEN, 'nor delete it')
        // The SDK does not ask for it where the secret can be read
        t.equal(
          (await vault.as(identity, 'POST', `/deletedsecrets/${name}/recover`)).statusCode,
          403,
          'nor recover it'
        )
        await t.rejects(client('purgeDeletedSecret', name), FORBIDDEN, 'nor purge it')
      }
    }
    await t.rejects(
      client('setSecret', 'a-new-secret', 'x'),
      FORBIDDEN,
      `${identity} cannot set what it was given no right to`
    )
    if (identity === 'deployer') {
      const listed = (await client('listPropertiesOfSecrets')).map(({ name }) => name)
      t.strictSame(listed.toSorted(), Object.keys(opens).toSorted(), 'deployer lists the vault')
    } else {
      await t.rejects(client('listPropertiesOfSecrets'), LIST_FORBIDDEN, `${identity} cannot list the vault`)
      await t.rejects(client('listDeletedSecrets'), LIST_FORBIDDEN, 'nor what is deleted')
    }
  })
}

t.test('a denial names the caller, the action and the resource', async (t) => {
  const { error: { message } } = (await vault.as('gateway', 'GET', '/secrets/audit-host-key')).json()
  t.match(message, `Caller: appid=${access.gateway!.clientId};`)
  t.match(message, "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n")
  t.match(message, "/vaults/local/secrets/audit-host-key'\r\n")
  t.match(message, "DecisionReason: 'DeniedWithNoValidRBAC'")
})

t.test('who has no right cannot tell whether there is a secret', async (t) => {
  const ask = async () => Promise.all([
    vault.as('gateway', 'GET', '/secrets/audit-db-connection'),
    vault.as('gateway', 'GET', `/secrets/audit-db-connection/${versions.get('audit-db-connection')}`),
    vault.as('gateway', 'GET', '/secrets/audit-db-connection/versions'),
    vault.as('gateway', 'PUT', '/secrets/audit-db-connection', { value: 'x' }),
    vault.as('gateway', 'GET', '/deletedsecrets/audit-db-connection')
  ])
  const told = async () => (await ask()).map(({ statusCode, text }) => ({ statusCode, text }))
  const live = await told()
  await deployer('beginDeleteSecret', 'audit-db-connection', { intervalInMs: 1 })
  t.strictSame(await told(), live, 'deleted')
  await deployer('purgeDeletedSecret', 'audit-db-connection')
  t.strictSame(await told(), live, 'purged')
  t.strictSame(live.map(({ statusCode }) => statusCode), [403, 403, 403, 403, 403])
})

t.test('access.json has a client id for each identity, and names that Key Vault permits', async (t) => {
  const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
  t.equal(new Set(identities.map(({ clientId }) => clientId)).size, identities.length)
  for (const { name, clientId, read, manage, ...rest } of identities) {
    t.match(name, /^[a-z]+$/)
    t.match(clientId, GUID, name)
    t.strictSame(rest, name === 'deployer' ? { list: true } : {}, 'and says nothing else')
    for (const secret of [...read, ...manage]) t.match(secret, /^[0-9A-Za-z-]{1,127}$/)
    for (const secrets of [read, manage]) t.equal(new Set(secrets).size, secrets.length, 'each once')
  }
})
