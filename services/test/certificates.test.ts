import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeCertificates } from '../cli/system/certificates.ts'

const LOCALHOST = import.meta.resolve('../emulators/processes/localhost.ts')
const run = promisify(execFile)

const dir = mkdtempSync(join(tmpdir(), 'certificates-'))
t.teardown(() => rmSync(dir, { recursive: true }))
await makeCertificates(dir, ['vault', 'other'])
const read = (name: string) => readFileSync(join(dir, name), 'utf8')

const server = createServer({ cert: read('vault.pem'), key: read('vault-key.pem') }, (_request, response) => {
  response.end('hello')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
t.teardown(() => server.close())
const { port } = server.address() as AddressInfo

interface Options {
  env?: NodeJS.ProcessEnv
}

/** What a process prints that believes the authority, and resolves names by itself. */
async function node (code: string, { env = { NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') } }: Options = {}) {
  const args = ['--import', LOCALHOST, '--input-type=module', '-e', code]
  const { stdout } = await run(process.execPath, args, { env, cwd: import.meta.dirname })
  return stdout.trim()
}

t.test('the files are whole, keys are for the owner, and the key of the authority is not kept', async (t) => {
  const files = ['ca.pem', 'other-key.pem', 'other.pem', 'vault-key.pem', 'vault.pem']
  t.strictSame(readdirSync(dir).sort(), files)
  t.equal(statSync(join(dir, 'vault-key.pem')).mode & 0o777, 0o600)
  const ca = new X509Certificate(read('ca.pem'))
  t.ok(ca.ca)
  for (const name of ['vault', 'other']) {
    const leaf = new X509Certificate(read(`${name}.pem`))
    t.ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
    t.notOk(leaf.ca)
    t.equal(leaf.publicKey.asymmetricKeyDetails!.namedCurve, 'prime256v1')
    const good = [`local.${name}.localhost`, `${name}.localhost`, 'localhost']
    for (const host of good) t.ok(leaf.checkHost(host), host)
    t.ok(leaf.checkIP('127.0.0.1'))
    const bad = ['localhost.example', 'a.b.vault.localhost', 'example.localhost']
    for (const host of bad) t.notOk(leaf.checkHost(host), host)
  }
})

t.test('each call makes another authority', async (t) => {
  const before = read('ca.pem')
  const other = mkdtempSync(join(tmpdir(), 'certificates-'))
  t.teardown(() => rmSync(other, { recursive: true }))
  await makeCertificates(other, [])
  t.not(readFileSync(join(other, 'ca.pem'), 'utf8'), before)
})

t.test('Node trusts it by NODE_EXTRA_CA_CERTS, at every name and address it is for', async (t) => {
  const clients: Record<string, string> = {
    'node:https': `
      import { get } from 'node:https'
      import { text } from 'node:stream/consumers'
      const ask = (url) => new Promise((resolve) => get(url, (response) => resolve(text(response))))`,
    undici: `
      import { request } from 'undici'
      const ask = async (url) => (await request(url)).body.text()`,
    fetch: 'const ask = async (url) => (await fetch(url)).text()'
  }
  const hosts = ['local.vault.localhost', 'vault.localhost', 'localhost', '127.0.0.1']
  const urls = JSON.stringify(hosts.map((host) => `https://${host}:${port}/`))
  for (const [client, ask] of Object.entries(clients)) {
    const output = await node(`${ask}\n console.log(JSON.stringify(await Promise.all(${urls}.map(ask))))`)
    t.strictSame(JSON.parse(output), hosts.map(() => 'hello'), `${client} at each host`)
  }
})

t.test('nobody else trusts it', async (t) => {
  const url = `https://local.vault.localhost:${port}/`
  const code = `try { await fetch('${url}') } catch ({ cause }) { console.log(cause.code) }`
  t.equal(await node(code, { env: {} }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  t.equal(await node(code.replace('local.vault', 'local.example')), 'ERR_TLS_CERT_ALTNAME_INVALID')
})

t.test('names that end in .localhost are this machine for every form of lookup', async (t) => {
  const output = await node(`
    import dns, { lookup as named, promises } from 'node:dns'
    import { lookup as promised } from 'node:dns/promises'
    import { promisify } from 'node:util'
    const call = (...args) => new Promise((resolve) => named(...args, (...answer) => resolve(answer)))
    console.log(JSON.stringify([
      await call('a.localhost'),
      await call('A.B.LOCALHOST.', 6),
      await call('a.localhost', { family: 'IPv4' }),
      await call('a.localhost', { all: true }),
      await call('a.localhost', undefined),
      await promises.lookup('a.localhost'),
      await promised('a.localhost', { all: true, family: 6 }),
      await promisify(dns.lookup)('a.localhost'),
      await call('127.0.0.2'),
      (await call('a.localhost.invalid'))[0].code,
      await promised('127.0.0.3', { all: true }),
      (await call('alocalhost.invalid', { all: true }))[0].code
    ]))`)
  t.strictSame(JSON.parse(output), [
    [null, '127.0.0.1', 4],
    [null, '::1', 6],
    [null, '127.0.0.1', 4],
    [null, [{ address: '127.0.0.1', family: 4 }]],
    [null, '127.0.0.1', 4],
    { address: '127.0.0.1', family: 4 },
    [{ address: '::1', family: 6 }],
    { address: '127.0.0.1', family: 4 },
    [null, '127.0.0.2', 4],
    'ENOTFOUND',
    [{ address: '127.0.0.3', family: 4 }],
    'ENOTFOUND'
  ])
})
