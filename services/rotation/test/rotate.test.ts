import t from 'tap'
import { randomSecret } from '../strategy.ts'
import { allNames, secretNames } from '../strategies.ts'
import { GRACE_MS, HOUR_MS, REFRESH_MS, startRotation, startUsers } from './rotation.ts'

const KEYS = ['patient-host-key', 'audit-host-key', 'audit-query-key', 'audit-log-key', 'patient-data-key']
const KEY = /^[\w-]{43}$/
const ISO = '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z'

const rotation = await startRotation(t)
const { run, set, read, change, remove, recover, chain, counts, activate, validVersions, toldValues } =
  rotation
await startUsers(t, rotation)

const first = new Map<string, string>()
for (const name of KEYS) first.set(name, await set(name, randomSecret(), { owner: 'team' }))
const subscriptions = {
  one: { product: 'client', key: randomSecret() },
  two: { product: 'reader', key: randomSecret() }
}
await set('gateway-subscription-keys', JSON.stringify(subscriptions))

// The SDK tries it again for some seconds
const whileAway = run(['patient-host-key'], { env: { KEY_VAULT_URI: 'https://local.vault.localhost:1' } })

/** Whether `time` is `ms` after something that was done between two times; the vault keeps whole seconds. */
function isIn (time: Date | undefined, ms: number, began: number, ended: number) {
  return time !== undefined && time.getTime() > began + ms - 1_000 && time.getTime() <= ended + ms
}

t.test('--all rotates what every deployment has, and returns at once', async (t) => {
  const before = await counts()
  const began = Date.now()
  const { code, stdout, stderr } = await run(['--all'])
  const ended = Date.now()
  t.equal(code, 0)
  t.equal(stderr, '')

  t.test('exactly seven, a line each', async (t) => {
    t.strictSame(allNames, [
      'patient-host-key',
      'audit-host-key',
      'audit-query-key',
      'audit-log-key',
      'patient-data-key',
      'patient-db-connection',
      'audit-db-connection'
    ])
    t.strictSame(
      await counts(),
      Object.fromEntries(secretNames.map((name) => [name, before[name]! + Number(allNames.includes(name))]))
    )
    const lines = stdout.split('\n')
    for (const [i, name] of allNames.entries()) {
      const { id, previous } = await read(name)
      t.match(
        lines[i],
        new RegExp(`^${name}: ${id} added, active from ${ISO}; ${previous} is accepted until ${ISO}$`)
      )
    }
    t.strictSame(lines.slice(allNames.length), [''])
  })

  t.test('a key has 256 bits at random', async (t) => {
    const keys = await Promise.all(KEYS.map(async (name) => (await chain(name)).map(({ value }) => value)))
    for (const [key] of keys) {
      t.match(key, KEY)
      t.equal(Buffer.from(key!, 'base64url').length, 32)
    }
    t.equal(new Set(keys.flat()).size, 10)
  })

  for (const name of allNames) {
    t.test(`${name}: a new version is active after two intervals, and the old one expires`, async (t) => {
      const [newest, previous, ...others] = await chain(name)
      t.ok(isIn(newest!.notBefore, 2 * REFRESH_MS, began, ended))
      t.equal(newest!.expiresOn, undefined)
      t.equal(newest!.tags!.previous, previous!.id)
      if (first.has(name)) {
        t.strictSame(
          [previous!.id, newest!.tags],
          [first.get(name), { owner: 'team', previous: first.get(name) }]
        )
      }
      t.equal(previous!.notBefore, undefined)
      t.ok(isIn(previous!.expiresOn, name === 'patient-data-key' ? 25 * HOUR_MS : GRACE_MS, began, ended))
      t.strictSame(others, [])
      t.strictSame(
        (await validVersions(name)).map(({ id }) => id),
        [newest!.id, previous!.id]
      )
    })
  }
})

t.test('the key of the auditor\'s sessions is accepted for as long as an idle session lives', async (t) => {
  await set('auditor-session-key', randomSecret())
  const began = Date.now()
  t.equal((await run(['auditor-session-key'])).code, 0)
  const [newest, previous] = await chain('auditor-session-key')
  t.match(newest!.value, KEY)
  t.ok(isIn(previous!.expiresOn, HOUR_MS, began, Date.now()))
})

t.test('repeated at once it adds no version, and says that one is under way', async (t) => {
  const before = [await counts(), await Promise.all(allNames.map(chain))]
  const { code, stdout, stderr } = await run(['--all'])
  t.equal(code, 0)
  t.equal(stderr, '')
  t.strictSame([await counts(), await Promise.all(allNames.map(chain))], before)
  for (const name of allNames) {
    const [newest, previous] = await chain(name)
    const [active, accepted] = [newest!.notBefore!, previous!.expiresOn!].map((date) => date.toISOString())
    const [added, until] = [`active from ${active}`, `accepted until ${accepted}`]
    t.match(stdout, `${name}: ${newest!.id} is not active yet, ${added}; ${previous!.id} is ${until}\n`)
  }
})

t.test('repeated when the last version is active, it adds the next, as the settings say', async (t) => {
  const names = ['patient-host-key', 'patient-data-key', 'gateway-subscription-keys']
  await activate(...names)
  const before = await Promise.all(names.map(chain))
  const began = Date.now()
  const { code, stderr } = await run([...names, '--older-than', '0.000001'], {
    env: { KEY_REFRESH_SECONDS: '30', KEY_GRACE_SECONDS: '100000' }
  })
  const ended = Date.now()
  t.equal(code, 0, stderr)
  for (const [i, name] of names.entries()) {
    const [newest, previous, ...others] = await chain(name)
    t.ok(isIn(newest!.notBefore, 60_000, began, ended))
    t.equal(newest!.previous, before[i]![0]!.id)
    t.ok(
      isIn(previous!.expiresOn, 100_000_000, began, ended),
      `${name}: more than 25 h where that is the grace time`
    )
    t.strictSame(
      [{ ...previous, expiresOn: undefined }, ...others],
      before[i],
      'those before stay as they were'
    )
  }
})

t.test('each subscription gets a new key and keeps its product', async (t) => {
  const [newest, previous] = await chain('gateway-subscription-keys')
  const renewed = JSON.parse(newest!.value)
  t.strictSame(JSON.parse(previous!.value), subscriptions)
  t.match(renewed, { one: { product: 'client', key: KEY }, two: { product: 'reader', key: KEY } })
  t.strictSame(Object.keys(renewed), ['one', 'two'])
  t.equal(
    new Set(
      [...Object.values(subscriptions), ...Object.values<{ key: string }>(renewed)].map(({ key }) => key)
    ).size,
    4
  )
})

t.test('what it does not understand changes nothing', async (t) => {
  const before = await counts()
  const refused = 'nonsense, patient-db-admin-connection cannot be rotated'
  const wrong: Array<[what: string, args: string[], stderr: RegExp, env?: NodeJS.ProcessEnv]> = [
    [
      'names that cannot be rotated are named',
      ['nonsense', 'patient-host-key', 'patient-db-admin-connection'],
      new RegExp(`^npm run rotate: ${refused}; choose from patient-host-key, [^\\n]*\\n$`)
    ],
    [
      'no name gets the usage',
      [],
      /^Rotates keys and .*\n\nnpm run rotate -- NAME… \| --all \[--leaked \| --older-than DAYS\]\n/
    ],
    [
      '--all with names does as well',
      ['--all', 'patient-host-key'],
      /^Rotates keys and connection strings.*\n/
    ],
    [
      'an option that there is not is named',
      ['patient-host-key', '--leak'],
      /^npm run rotate: Unknown option '--leak'[^\n]*\n$/
    ],
    [
      'an age beside --leaked is refused',
      ['patient-host-key', '--leaked', '--older-than', '1'],
      /^npm run rotate: --leaked and --older-than exclude each other\n$/
    ],
    [
      'a grace time under three refresh intervals is refused',
      ['patient-host-key'],
      /^npm run rotate: Settings: KEY_GRACE_SECONDS must be at least three times KEY_REFRESH_SECONDS\n$/,
      { KEY_GRACE_SECONDS: '179' }
    ],
    [
      'no vault is refused',
      ['patient-host-key'],
      /^npm run rotate: Settings: KEY_VAULT_URI is missing\n$/,
      { KEY_VAULT_URI: '' }
    ]
  ]
  const results = await Promise.all(wrong.map(([, args,, env]) => run(args, { env })))
  for (const [i, [what,, expected]] of wrong.entries()) {
    const { code, stdout, stderr } = results[i]!
    t.equal(code, 1, what)
    t.equal(stdout, '')
    t.match(stderr, expected)
  }
  t.strictSame(await counts(), before)
})

t.test('a secret newer than --older-than stays as it is', async (t) => {
  const names = ['patient-host-key', 'gateway-subscription-keys', 'patient-data-key']
  await activate('patient-host-key', 'gateway-subscription-keys')
  await set('patient-data-key', randomSecret())
  const before = [await counts(), await Promise.all(names.map(chain))]
  const { code, stdout, stderr } = await run([...names, '--older-than', '0.5'], {
    env: { KEY_GRACE_SECONDS: '100000' }
  })
  t.equal(code, 0, stderr)
  t.strictSame([await counts(), await Promise.all(names.map(chain))], before)
  for (const name of names) t.match(stdout, `${name}: ${(await read(name)).id} is not due, active now`)
})

t.test('a secret that cannot be rotated is named with its reason, and the others are rotated', async (t) => {
  await activate('patient-host-key', 'audit-host-key', 'patient-data-key', 'gateway-subscription-keys')
  await change('audit-host-key', { enabled: false })
  await remove('patient-data-key')
  await set('gateway-subscription-keys', `{ "one": ${randomSecret()}`)
  const { 'patient-data-key': _, ...before } = await counts()
  const { code, stdout, stderr } = await run([
    'audit-host-key',
    'patient-data-key',
    'gateway-subscription-keys',
    'patient-host-key'
  ])
  t.equal(code, 1)
  const [disabled, missing, malformed, ...rest] = stderr.split('\n')
  t.match(disabled, /^audit-host-key: the newest version is disabled; /)
  t.equal(missing, 'patient-data-key: the vault refuses the request (404 SecretNotFound)')
  t.equal(malformed, 'gateway-subscription-keys: SyntaxError')
  t.strictSame(rest, [''])
  t.match(stdout, /^patient-host-key: [0-9a-f]{32} added, [^\n]*\n$/)
  await recover('patient-data-key')
  const { 'patient-data-key': __, ...after } = await counts()
  t.strictSame(after, { ...before, 'patient-host-key': before['patient-host-key']! + 1 })
})

t.test('an unavailable vault is reported in one line', async (t) => {
  const { code, stdout, stderr } = await whileAway
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^patient-host-key: the vault does not answer \(ECONNREFUSED\)\n$/)
})

t.test('when a key has leaked the new one is active at once, and all before are refused', async (t) => {
  const pending = await chain('patient-host-key')
  t.ok(pending[0]!.notBefore! > new Date(), 'one is not active yet')
  t.ok(pending[1]!.expiresOn! > new Date(), 'one is in its grace time')
  const alone = await set('audit-host-key', randomSecret())
  const began = Date.now()
  const { code, stdout, stderr } = await run(['patient-host-key', 'audit-host-key', '--leaked'])
  const ended = Date.now()
  t.equal(code, 0, stderr)

  const [newest, ...superseded] = await chain('patient-host-key')
  t.strictSame(
    [newest!.notBefore, newest!.expiresOn, newest!.previous],
    [undefined, undefined, pending[0]!.id]
  )
  t.match(newest!.value, KEY)
  t.strictSame(superseded.map(({ id }) => id), pending.map(({ id }) => id))
  for (const { expiresOn } of superseded) t.ok(isIn(expiresOn, 0, began, ended))
  t.strictSame((await validVersions('patient-host-key')).map(({ id }) => id), [newest!.id])

  const [other, known] = await chain('audit-host-key')
  t.equal(known!.id, alone)
  t.ok(isIn(known!.expiresOn, 0, began, ended))
  t.strictSame((await validVersions('audit-host-key')).map(({ id }) => id), [other!.id])
  const refused = superseded.map(({ id }) => `; ${id} is refused`).join('')
  t.equal(stdout, `patient-host-key: ${newest!.id} added, active now${refused}\n` +
    `audit-host-key: ${other!.id} added, active now; ${alone} is refused\n`)
})

t.test('it shows no value of a key or password', async (t) => {
  const { told, of } = await toldValues()
  t.ok(of > 20)
  t.strictSame(told, [])
})
