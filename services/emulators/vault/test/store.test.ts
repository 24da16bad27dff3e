import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../config.ts'
import { openStore, readSecrets, type Secret } from '../store.ts'
import { access, runVault, startVault, vaultDir, type VaultDir } from './vault.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

function newDir (t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'store-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return { dataDir: join(dir, 'data'), unsealKeyFile: join(dir, 'unseal-key') }
}

function secret (value: string): Secret {
  return { versions: [{ id: '1', value, enabled: true, created: 1, updated: 1 }] }
}

t.test('concurrent changes are all kept, in their order', async (t) => {
  const dir = newDir(t)
  const store = openStore(dir)
  const order: number[] = []
  await Promise.all(Array.from({ length: 500 }, (_, i) => store.change((secrets) => {
    order.push(i)
    secrets.set(`s${i}`, secret(`value ${i}`))
  })))
  t.strictSame(order, Array.from({ length: 500 }, (_, i) => i))
  await store.close()
  const again = openStore(dir)
  t.equal(again.secrets.size, 500)
  t.strictSame(again.secrets.get('s499'), secret('value 499'))
  await again.close()
})

t.test('a change that comes as another ends is not forgotten', async (t) => {
  const store = openStore(newDir(t))
  for (let ticks = 0; ticks < 12; ticks++) {
    await store.change((secrets) => secrets.set('one', secret('first')))
    for (let i = 0; i < ticks; i++) await null
    await store.change((secrets) => secrets.set('one', secret('second')))
  }
  t.equal(store.secrets.get('one')!.versions[0]!.value, 'second')
  await store.close()
})

t.test('a change that throws is refused alone', async (t) => {
  const store = openStore(newDir(t))
  const answers = await Promise.allSettled([
    store.change((secrets) => secrets.set('one', secret('1'))),
    store.change(() => { throw new RangeError('no') }),
    store.change((secrets) => secrets.set('two', secret('2')))
  ])
  t.strictSame(answers.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
  t.strictSame([...store.secrets.keys()], ['one', 'two'])
  await store.close()
})

t.test('a change that cannot be written is refused and not seen', async (t) => {
  const dir = newDir(t)
  const store = openStore(dir)
  await store.change((secrets) => secrets.set('one', secret('1')))
  const obstacle = join(dir.dataDir, 'secrets.sealed.new')
  mkdirSync(obstacle)
  await t.rejects(store.change((secrets) => secrets.set('two', secret('2'))), { code: 'EISDIR' })
  t.strictSame([...store.secrets.keys()], ['one'])
  rmdirSync(obstacle)
  await store.change((secrets) => secrets.set('three', secret('3')))
  t.strictSame([...store.secrets.keys()], ['one', 'three'])
  await store.close()
})

t.test('tests beside a running vault read the newest values', async (t) => {
  const dir = newDir(t)
  t.strictSame(readSecrets(dir.dataDir, dir.unsealKeyFile), new Map())
  const store = openStore(dir)
  await store.change((secrets) => {
    secrets.set('one', { versions: [...secret('old').versions, ...secret('new').versions] })
    secrets.set('two', { ...secret('2'), deleted: 1 })
  })
  t.strictSame(readSecrets(dir.dataDir, dir.unsealKeyFile), new Map([['one', 'new']]))
  await store.close()
})

t.test('only the owner may read the key and the data', async (t) => {
  const dir = newDir(t)
  const store = openStore(dir)
  await store.change((secrets) => secrets.set('one', secret('1')))
  t.equal(statSync(dir.unsealKeyFile).mode & 0o777, 0o600)
  t.equal(statSync(join(dir.dataDir, 'secrets.sealed')).mode & 0o777, 0o600)
  t.equal(statSync(dir.dataDir).mode & 0o777, 0o700)
  await store.close()
})

async function set (vault: Awaited<ReturnType<typeof startVault>>, name: string, value: string) {
  const { statusCode, text, json } = await vault.as('deployer', 'PUT', `/secrets/${name}`, { value })
  if (statusCode !== 200) throw new Error(text)
  return json().id.split('/').at(-1) as string
}

t.test('a restart keeps secrets and tokens', async (t) => {
  const dir = await vaultDir(t)
  const vault = await startVault(t, dir)
  const id = await set(vault, 'patient-host-key', 'kept over a restart')
  await vault.as('deployer', 'PUT', '/secrets/audit-host-key', { value: 'deleted', tags: { a: 'b' } })
  await vault.as('deployer', 'DELETE', '/secrets/audit-host-key')
  const authorization = `Bearer ${await vault.tokenOf('patient')}`
  vault.process.kill('SIGTERM')
  await vault.ended
  t.equal(vault.code(), 0, 'it closes before it is ended by force, kept connections or not')

  const again = await startVault(t, dir, vault.port)
  const { statusCode, json } = await again.call('/secrets/patient-host-key?api-version=7.6', {
    headers: { authorization }
  })
  t.equal(statusCode, 200, 'the token still holds')
  t.equal(json().value, 'kept over a restart')
  t.match(json().id, id)
  t.equal(
    (await again.as('deployer', 'POST', '/deletedsecrets/audit-host-key/recover')).statusCode,
    200,
    'what is deleted is kept too'
  )
  t.equal((await again.as('deployer', 'GET', '/secrets/audit-host-key')).json().value, 'deleted')
})

t.test('kill -9 loses nothing that was acknowledged', async (t) => {
  const dir = await vaultDir(t)
  const acknowledged = new Map<string, { name: string, value: string }>()
  const names = access.deployer!.manage
  for (let round = 0; round < 5; round++) {
    const vault = await startVault(t, dir)
    await vault.tokenOf('deployer')
    let killed = false
    const from = acknowledged.size
    const streams = names.map(async (name) => {
      for (let i = 0; !killed; i++) {
        const value = `${name} ${round} ${i}`
        try {
          acknowledged.set(await set(vault, name, value), { name, value })
        } catch (error) {
          if (!killed) throw error
        }
        // Somewhere in a write
        if (acknowledged.size - from > 50 && !killed) killed = vault.process.kill('SIGKILL')
      }
    })
    await Promise.all(streams)
    await vault.ended
  }
  const vault = await startVault(t, dir)
  let lost = 0
  for (const [id, { name, value }] of acknowledged) {
    const { statusCode, json } = await vault.as('deployer', 'GET', `/secrets/${name}/${id}`)
    if (statusCode !== 200 || json().value !== value) lost++
  }
  t.ok(acknowledged.size > 250)
  t.equal(lost, 0, `of ${acknowledged.size}`)
})

async function refuses (t: Test, dir: VaultDir, message: RegExp, more?: NodeJS.ProcessEnv) {
  const vault = await runVault(t, dir, more)
  t.equal(vault.code(), 1)
  t.match(vault.stderr(), message)
  t.match(vault.stderr(), /^.*\n$/, 'in one line')
}

t.test('what it cannot start from stops it with one line', async (t) => {
  const dir = await vaultDir(t)
  const { DATA_DIR, UNSEAL_KEY_FILE, IDENTITIES_FILE } = dir.settings
  const vault = await startVault(t, dir)
  await set(vault, 'patient-host-key', 'a value')

  t.test('another vault on its directory', (t) => refuses(t, dir, /^another vault is running from /))

  t.test('a wrong, damaged or missing unseal key', async (t) => {
    vault.process.kill('SIGKILL')
    await vault.ended
    const key = readFileSync(UNSEAL_KEY_FILE)
    writeFileSync(UNSEAL_KEY_FILE, Buffer.alloc(32, 7).toString('base64url'))
    await refuses(t, dir, /secrets\.sealed is damaged, or was sealed with another key$/m)
    const open = () => openStore({ dataDir: DATA_DIR, unsealKeyFile: UNSEAL_KEY_FILE })
    const isRefused = (message: RegExp) => t.throws(open, { name: 'SettingsError', message })
    for (const damaged of ['', '{', 'x'.repeat(42), 'not a key']) {
      writeFileSync(UNSEAL_KEY_FILE, damaged)
      isRefused(/unseal-key is damaged/)
    }
    rmSync(UNSEAL_KEY_FILE)
    isRefused(/unseal-key, the unseal key, cannot be read \(ENOENT\)/)
    t.throws(() => statSync(UNSEAL_KEY_FILE), { code: 'ENOENT' }, 'no other is made in its place')
    writeFileSync(UNSEAL_KEY_FILE, key, { mode: 0o600 })
  })

  t.test('a damaged file', async (t) => {
    const file = join(DATA_DIR, 'secrets.sealed')
    const sealed = readFileSync(file)
    const flipped = (at: number) => sealed.map((byte, i) => i === at ? byte ^ 1 : byte)
    for (const damaged of [
      flipped(0),
      flipped(10),
      flipped(40),
      flipped(sealed.length - 1),
      sealed.subarray(0, -1),
      sealed.subarray(0, 20),
      Buffer.alloc(0)
    ]) {
      writeFileSync(file, damaged)
      t.throws(() => openStore({ dataDir: DATA_DIR, unsealKeyFile: UNSEAL_KEY_FILE }), {
        name: 'SettingsError',
        message: /is damaged/
      })
    }
    await refuses(t, dir, /secrets\.sealed is damaged/)
    writeFileSync(file, sealed)
    const store = openStore({ dataDir: DATA_DIR, unsealKeyFile: UNSEAL_KEY_FILE })
    t.equal(store.secrets.size, 1)
    await store.close()
  })

  t.test('wrong settings', async (t) => {
    await refuses(t, dir, /^Settings: .*DATA_DIR is missing/, { DATA_DIR: '' })
    const isRefused = (message: RegExp, more: NodeJS.ProcessEnv = {}) => t.throws(
      () => loadConfig({ ...dir.settings, ...more }), { name: 'SettingsError', message })
    isRefused(/^Settings: TLS_CERT_FILE and TLS_KEY_FILE cannot be used/, { TLS_KEY_FILE: join(dir.dir, 'none') })
    writeFileSync(IDENTITIES_FILE, JSON.stringify({ nobody: '0'.repeat(64) }))
    isRefused(/identities\.json: access\.json does not name nobody/)
    writeFileSync(IDENTITIES_FILE, JSON.stringify({ gateway: 'x' }))
    isRefused(/identities\.json: #\/gateway /)
    writeFileSync(IDENTITIES_FILE, '[]')
    isRefused(/identities\.json: # must be object/)
    writeFileSync(IDENTITIES_FILE, '{')
    isRefused(/identities\.json is not JSON$/)
    const none = { IDENTITIES_FILE: join(dir.dir, 'identities.none') }
    isRefused(/identities\.none cannot be read \(ENOENT\)$/, none)
  })
})

t.test('neither files nor log hold a value, a token or a header', async (t) => {
  const vault = await startVault(t)
  const value = 'a-value-that-nobody-may-see'
  await set(vault, 'patient-host-key', value)
  await vault.as('patient', 'GET', '/secrets/patient-host-key')
  await vault.as('deployer', 'PUT', '/secrets/patient-host-key', `{"value":"${value}"`)
  await vault.as('deployer', 'PUT', `/secrets/${value}_`, { value })
  await vault.as('deployer', 'GET', `/${value}`)
  await vault.call(`/secrets/${value}?${value}`)
  const authorization = `Bearer ${await vault.tokenOf('deployer')}`
  await vault.call(`/%zz${value}`, { headers: { authorization } })
  vault.process.kill('SIGTERM')
  await vault.ended

  const secrets = [
    value,
    await vault.tokenOf('deployer'),
    await vault.tokenOf('patient'),
    ...Object.values(vault.headers)
  ]
  const files = readdirSync(vault.settings.DATA_DIR).map((name) =>
    readFileSync(join(vault.settings.DATA_DIR, name))
  )
  for (const secret of secrets) {
    t.notOk(vault.stdout().includes(secret))
    t.notOk(vault.stderr().includes(secret))
    for (const form of [secret, Buffer.from(secret).toString('base64').slice(0, -4)]) {
      t.notOk(files.some((file) => file.includes(form)))
    }
  }

  const lines = vault.lines().filter(({ msg }) => msg === 'access')
  t.match(lines.find(({ operation, identity }) => operation === 'getSecret' && identity === 'patient'), {
    name: 'vault', secret: 'patient-host-key', version: /^[0-9a-f]{32}$/, statusCode: 200
  })
  t.match(
    lines.find(({ operation }) => operation === 'getToken'),
    { identity: 'deployer', resource: 'https://vault.localhost', statusCode: 200 }
  )
  t.ok(lines.some(({ statusCode }) => statusCode === 401))
})
