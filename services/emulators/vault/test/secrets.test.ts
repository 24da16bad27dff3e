import t, { type Test } from 'tap'
import { sdk, startVault } from './vault.ts'

const vault = await startVault(t)
const client = sdk(t, vault, 'deployer')
const { as, call } = vault
const CHALLENGE = new RegExp('^Bearer authorization="https://login\\.localhost/[0-9a-f-]{36}", ' +
  'resource="https://vault\\.localhost"$')
const NOT_FOUND = { statusCode: 404, code: 'SecretNotFound' }
const QUICK = { intervalInMs: 1 }

/** What the SDK throws. */
async function failure (answer: Promise<unknown>) {
  try {
    await answer
  } catch (error) {
    const { statusCode, code, inner } = error as { statusCode: number, code: string, inner: string }
    return { statusCode, code, inner }
  }
  throw new Error('it did not fail')
}

t.test('by the SDK', async (t) => {
  t.test('a secret is set and got with all of its properties', async (t) => {
    const [notBefore, expiresOn] = [new Date(2_000_000_000_000), new Date(2_100_000_000_000)]
    const before = Math.floor(Date.now() / 1_000) * 1_000
    const set = await client('setSecret', 'patient-host-key', 'a value, ünïcode and "quotes"', {
      contentType: 'text/plain',
      tags: { previous: 'none' },
      notBefore,
      expiresOn
    })
    const got = await client('getSecret', 'patient-host-key')
    t.strictSame(got, set)
    t.match(got, {
      value: 'a value, ünïcode and "quotes"',
      properties: {
        contentType: 'text/plain',
        tags: { previous: 'none' },
        enabled: true,
        notBefore,
        expiresOn,
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90
      }
    })
    t.match(got.properties.version, /^[0-9a-f]{32}$/)
    t.match(got.properties.vaultUrl, vault.url)
    const { createdOn, updatedOn } = got.properties
    t.ok(createdOn!.getTime() >= before && createdOn!.getTime() <= Date.now())
    t.equal(createdOn!.getTime() % 1_000, 0)
    t.strictSame(updatedOn, createdOn)
  })

  t.test('the newest version is the one last set, and each stays to be got by its id', async (t) => {
    const ids: string[] = []
    for (const value of ['first', 'second', '']) {
      const { properties } = await client('setSecret', 'audit-host-key', value)
      ids.push(properties.version!)
    }
    t.equal((await client('getSecret', 'audit-host-key')).value, '')
    t.equal((await client('getSecret', 'audit-host-key')).properties.version, ids[2])
    t.equal((await client('getSecret', 'audit-host-key', { version: ids[0] })).value, 'first')
    t.match(await failure(client('getSecret', 'audit-host-key', { version: 'f'.repeat(32) })), NOT_FOUND)
  })

  t.test('more versions than a page holds are listed, none with its value', async (t) => {
    const ids = new Set<string>()
    for (let i = 0; i < 60; i++) {
      const { properties } = await client('setSecret', 'patient-data-key', `value ${i}`)
      ids.add(properties.version!)
    }
    const versions = await client('listPropertiesOfSecretVersions', 'patient-data-key')
    t.strictSame(new Set(versions.map(({ version }) => version)), ids)
    t.notOk(versions.some((version) => 'value' in version))
  })

  t.test('a version is disabled, enabled, dated and tagged', async (t) => {
    const options = { contentType: 'text/plain' }
    const { properties } = await client('setSecret', 'audit-db-connection', 'a connection', options)
    const { version } = properties
    await client('updateSecretProperties', 'audit-db-connection', version!, { enabled: false })
    t.strictSame(await failure(client('getSecret', 'audit-db-connection')), {
      statusCode: 403,
      code: 'Forbidden',
      inner: 'SecretDisabled'
    })
    t.match(await client('listPropertiesOfSecretVersions', 'audit-db-connection'), [
      { version, enabled: false }
    ])

    const expiresOn = new Date(1_000_000_000_000)
    const updated = await client('updateSecretProperties', 'audit-db-connection', version!, {
      enabled: true,
      expiresOn,
      tags: { previous: 'x' }
    })
    t.match(updated, {
      version,
      enabled: true,
      expiresOn,
      tags: { previous: 'x' },
      contentType: 'text/plain'
    })
    t.equal(
      (await client('getSecret', 'audit-db-connection')).value,
      'a connection',
      'an expired one is still served'
    )

    await client('updateSecretProperties', 'audit-db-connection', version!, {
      notBefore: new Date(2_100_000_000_000)
    })
    t.match(
      await client('getSecret', 'audit-db-connection'),
      { value: 'a connection', properties: { expiresOn, tags: { previous: 'x' } } },
      'so is one that is not active yet'
    )
    t.match(
      await failure(
        client('updateSecretProperties', 'audit-db-connection', 'f'.repeat(32), { enabled: true })
      ),
      NOT_FOUND
    )
  })

  t.test('a deleted secret keeps its name until it is recovered or purged', async (t) => {
    const name = 'gateway-subscription-keys'
    const ids = [await client('setSecret', name, 'one'), await client('setSecret', name, 'two')].map(
      ({ properties }) => properties.version
    )
    const deleted = await client('beginDeleteSecret', name, QUICK)
    t.equal(deleted.recoveryId, `${vault.url}/deletedsecrets/${name}`)
    t.equal(deleted.scheduledPurgeDate!.getTime() - deleted.deletedOn!.getTime(), 90 * 86_400_000)
    t.match(await failure(client('getSecret', name)), NOT_FOUND)
    t.match(await failure(client('getSecret', name, { version: ids[0] })), NOT_FOUND)
    t.match(await failure(client('updateSecretProperties', name, ids[0]!, {})), NOT_FOUND)
    t.match(await failure(client('beginDeleteSecret', name, QUICK)), NOT_FOUND)
    t.strictSame(await client('listPropertiesOfSecretVersions', name), [])
    t.strictSame(await failure(client('setSecret', name, 'three')), {
      statusCode: 409,
      code: 'Conflict',
      inner: 'ObjectIsDeletedButRecoverable'
    })
    t.match(await client('getDeletedSecret', name), { name, deletedOn: deleted.deletedOn })
    t.match(await client('listDeletedSecrets'), [{ name }])
    t.notOk((await client('listPropertiesOfSecrets')).some((secret) => secret.name === name))

    await client('beginRecoverDeletedSecret', name, QUICK)
    t.equal((await client('getSecret', name)).value, 'two')
    t.equal((await client('getSecret', name, { version: ids[0] })).value, 'one')
    t.match(await failure(client('getDeletedSecret', name)), { statusCode: 404 })
    t.match(await failure(client('purgeDeletedSecret', name)), { statusCode: 404 })

    await client('beginDeleteSecret', name, QUICK)
    await client('purgeDeletedSecret', name)
    t.strictSame(await client('listDeletedSecrets'), [])
    await client('setSecret', name, 'three')
    t.match(
      await failure(client('getSecret', name, { version: ids[0] })),
      { statusCode: 404 },
      'the old versions are gone'
    )
  })

  t.test('the vault is listed by name, each secret without version or value', async (t) => {
    const secrets = await client('listPropertiesOfSecrets')
    t.strictSame(
      secrets.map(({ name }) => name),
      [
        'audit-db-connection',
        'audit-host-key',
        'gateway-subscription-keys',
        'patient-data-key',
        'patient-host-key'
      ]
    )
    t.notOk(secrets.some(({ version }) => version))
  })
})

function isError (
  t: Test,
  answer: Awaited<ReturnType<typeof call>>,
  statusCode: number,
  code: string,
  message?: RegExp | string
) {
  t.equal(answer.statusCode, statusCode)
  t.match(answer.headers['content-type'], 'application/json')
  const { error, ...rest } = answer.json()
  t.strictSame(rest, {})
  t.equal(error.code, code)
  if (message) t.match(error.message, message)
}

t.test('by itself', async (t) => {
  t.test('a call without a token is challenged before anything else is looked at', async (t) => {
    for (const path of [
      '/secrets/patient-host-key?api-version=7.6',
      '/secrets/not_a_name',
      '/nothing',
      '/secrets'
    ]) {
      for (const method of ['GET', 'PUT', 'POST'] as const) {
        const answer = await call(path, { method, body: method === 'GET' ? undefined : '{' })
        isError(t, answer, 401, 'Unauthorized')
        t.match(answer.headers['www-authenticate'], CHALLENGE)
      }
    }
  })

  t.test('what is not a token of this vault is challenged too', async (t) => {
    const token = await vault.tokenOf('deployer')
    const [header, payload, signature] = token.split('.')
    const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
    const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString())
    const longer = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 })).toString('base64url')
    const monitor = await vault.askToken('deployer', { resource: 'https://monitor.azure.com' })
    const shown = [
      `${token}x`,
      `${unsigned}.${payload}.`,
      `${unsigned}.${payload}.${signature}`,
      `${header}.${longer}.${signature}`,
      `${header}.${payload}`,
      `${token}.x`,
      monitor.json().access_token,
      '..',
      'x'
    ]
    for (const wrong of [
      ...shown.map((token) => `Bearer ${token}`),
      `Basic ${token}`,
      token,
      'Bearer',
      'Bearer '
    ]) {
      isError(
        t,
        await call('/secrets/patient-host-key?api-version=7.6', { headers: { authorization: wrong } }),
        401,
        'Unauthorized'
      )
    }
  })

  t.test('api-version must be there and be known', async (t) => {
    const authorization = `Bearer ${await vault.tokenOf('deployer')}`
    for (const version of ['7.0', '7.4', '7.6-preview.2', '2016-10-01', '2025-07-01', '2026-04-01-preview']) {
      t.equal(
        (await as('deployer', 'GET', `/secrets/audit-host-key/?api%2Dversion=${version}`)).statusCode,
        200,
        version
      )
    }
    for (const query of ['', '?api-version=', '?api-versions=7.6']) {
      isError(
        t,
        await call(`/secrets/audit-host-key${query}`, { headers: { authorization } }),
        400,
        'BadParameter',
        'api-version must be specified'
      )
    }
    for (const version of ['6.1', '7', '7.6.1', 'latest', '2025-7-1', '7.6&api-version=7.5']) {
      isError(
        t,
        await as('deployer', 'GET', `/secrets/audit-host-key?api-version=${version}`),
        400,
        'BadParameter',
        /not recognized/
      )
    }
  })

  t.test('a name has up to 127 letters, digits and hyphens', async (t) => {
    for (const name of ['a_b', 'a.b', 'a%20b', '%C3%BC', 'x'.repeat(128), 'x'.repeat(5_000)]) {
      isError(
        t,
        await as('deployer', 'PUT', `/secrets/${name}`, { value: 'v' }),
        400,
        'BadParameter',
        /invalid name/
      )
    }
    isError(t, await as('deployer', 'GET', `/secrets/${'x'.repeat(127)}`), 403, 'Forbidden')
    t.equal(
      (await as('deployer', 'GET', '/secrets/Audit-Host-KEY')).statusCode,
      200,
      'the case does not count'
    )
  })

  t.test('a body that is no JSON, or no secret, is a bad parameter that is not quoted', async (t) => {
    const marker = 'a-value-that-nobody-may-see'
    const bodies = [
      `{"value":"${marker}"`, `${marker}`, '', '[]', 'null', '"x"', '{}', { value: 1 }, { value: null },
      { value: marker, attributes: { enabled: marker } },
      { value: marker, attributes: { exp: marker } },
      { value: marker, attributes: { nbf: 1.5 } },
      { value: marker, attributes: { exp: -1 } },
      { value: marker, tags: { tag: 1 } },
      { value: marker, tags: { tag: 'x'.repeat(513) } },
      { value: marker, tags: Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`tag${i}`, ''])) },
      { value: marker, contentType: 'x'.repeat(256) },
      { value: marker.padEnd(25 * 1024 + 1) }
    ]
    for (const body of bodies) {
      const answer = await as('deployer', 'PUT', '/secrets/patient-db-connection', body)
      isError(t, answer, 400, 'BadParameter')
      t.notMatch(answer.text, marker)
    }
    isError(t, await as('deployer', 'GET', '/secrets/patient-db-connection'), 404, 'SecretNotFound')
    isError(
      t,
      await as('deployer', 'PUT', '/secrets/patient-db-connection', { value: 'x'.repeat(300_000) }),
      413,
      'RequestEntityTooLarge'
    )
  })

  t.test('the largest secret is taken, and what only the service sets is passed over', async (t) => {
    const value = '\u0001'.repeat(25 * 1024)
    const tags = Object.fromEntries(
      Array.from({ length: 15 }, (_, i) => [`${i}`.padEnd(512, 'ü'), '\u0001'.repeat(512)])
    )
    const attributes = {
      enabled: null,
      exp: null,
      created: 1,
      updated: 2,
      recoveryLevel: 'Purgeable',
      recoverableDays: 7
    }
    const set = await as('deployer', 'PUT', '/secrets/patient-db-connection', {
      value,
      tags,
      contentType: null,
      attributes,
      unknown: true
    })
    t.equal(set.statusCode, 200)
    const got = (await as('deployer', 'GET', '/secrets/patient-db-connection')).json()
    t.strictSame(Object.keys(got), ['value', 'id', 'tags', 'attributes'])
    t.equal(got.value, value)
    t.strictSame(got.tags, tags)
    t.strictSame(Object.keys(got.attributes), [
      'enabled',
      'created',
      'updated',
      'recoveryLevel',
      'recoverableDays'
    ])
    t.ok(got.attributes.created > 1)
  })

  t.test('a page holds up to 25, and its link leads to the next', async (t) => {
    const first = (await as('deployer', 'GET', '/secrets/patient-data-key/versions?maxresults=7')).json()
    t.equal(first.value.length, 7)
    const next = new URL(first.nextLink)
    const second = (await as('deployer', 'GET', next.pathname + next.search)).json()
    t.equal(second.value.length, 7)
    t.not(second.value[0].id, first.value[0].id)
    t.equal((await as('deployer', 'GET', '/secrets/patient-data-key/versions')).json().value.length, 25)
    t.equal(
      (await as('deployer', 'GET', '/secrets/patient-data-key/versions?$skiptoken=50')).json().nextLink,
      null
    )
    for (const query of ['maxresults=0', 'maxresults=26', 'maxresults=x', '$skiptoken=-1', '$skiptoken=x']) {
      isError(t, await as('deployer', 'GET', `/secrets?${query}`), 400, 'BadParameter')
    }
  })

  t.test('an update without a version is one of the newest', async (t) => {
    const answer = await as('deployer', 'PATCH', '/secrets/audit-host-key', { contentType: 'new' })
    t.equal(answer.json().contentType, 'new')
    t.notOk('value' in answer.json())
  })

  t.test('unknown paths are not found, and other methods not allowed', async (t) => {
    for (const path of [
      '/',
      '/keys',
      '/keys/a-key',
      '/secrets/a/b/c',
      '/secret',
      '/deletedsecrets/a/b/c',
      '/msi',
      '/health'
    ]) {
      isError(t, await as('deployer', 'GET', path), 404, 'NotFound')
    }
    for (const [method, path] of [
      ['POST', '/secrets/restore'],
      ['POST', '/secrets/audit-host-key/backup'],
      ['PUT', '/secrets'],
      ['DELETE', '/secrets/audit-host-key/1'],
      ['POST', '/deletedsecrets'],
      ['PATCH', '/deletedsecrets/audit-host-key']
    ] as const) {
      isError(t, await as('deployer', method, path, {}), 405, 'MethodNotAllowed')
    }
    isError(t, await as('deployer', 'GET', '/secrets/%zz'), 400, 'BadParameter')
  })

  t.test('its health needs no token', async (t) => {
    t.equal((await call('/health/ready')).statusCode, 200)
  })
})
