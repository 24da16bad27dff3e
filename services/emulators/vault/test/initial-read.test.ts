import { randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { freePorts } from '../../processes/probes.ts'
import { access, startVault, type Vault } from './vault.ts'

const MAIN = fileURLToPath(import.meta.resolve('../../../audit/main.ts'))
const PRELOADS = ['orphan', 'localhost'].flatMap((name) => [
  '--import',
  import.meta.resolve(`../../processes/${name}.ts`)
])

/** The Audit service as its identity, before a database that is not there. */
async function startAudit (t: Test, { url, headers, ca }: Vault, more: NodeJS.ProcessEnv = {}) {
  const [port] = await freePorts()
  const service = spawn(process.execPath, [...PRELOADS, MAIN], {
    env: {
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      HOST: '127.0.0.1',
      PORT: String(port),
      ALLOWED_CALLERS: '127.0.0.1/32',
      CALLER_ADDRESS: 'peer',
      DRAIN_SECONDS: '0',
      KEY_VAULT_URI: url,
      AZURE_CLIENT_ID: access.audit!.clientId,
      IDENTITY_ENDPOINT: `${url}/msi/token`,
      IDENTITY_HEADER: headers.audit,
      NODE_EXTRA_CA_CERTS: ca,
      ...more
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  const ended = once(service, 'close')
  let logs = ''
  service.stdout!.setEncoding('utf8').on('data', (chunk) => { logs += chunk })
  t.teardown(async () => {
    service.kill()
    await ended
  })
  return { logs: () => logs }
}

async function filled (t: Test, tags?: object) {
  const vault = await startVault(t)
  for (const [name, value] of Object.entries({
    'audit-host-key': randomBytes(32).toString('base64url'),
    'audit-query-key': randomBytes(32).toString('base64url'),
    'audit-log-key': randomBytes(32).toString('base64url'),
    'audit-db-connection': 'mongodb://127.0.0.1:1/'
  })) {
    await vault.as('deployer', 'PUT', `/secrets/${name}`, { value, tags })
  }
  const { length } = vault.lines()
  /** What the service asked: what came of each call. */
  const asked = () => vault.lines().slice(length).filter(({ operation }) => operation === 'getSecret')
  return { vault, asked }
}

// The SDK begins without a token, to be told where it gets one
const bySdk = ({ statusCode }: { statusCode: number }) => statusCode === 401

t.test('the first look needs no SDK, and what follows is its', async (t) => {
  const { vault, asked } = await filled(t)
  await startAudit(t, vault, { KEY_REFRESH_SECONDS: '1' })
  while (!asked().some(bySdk)) await sleep(50)
  const first = asked().slice(0, asked().findIndex(bySdk))
  t.strictSame(first.map(({ secret, statusCode }) => `${secret} ${statusCode}`).toSorted(), [
    'audit-db-connection 200',
    'audit-host-key 200',
    'audit-log-key 200',
    'audit-query-key 200'
  ])
  const { length } = asked()
  while (asked().slice(length).filter(({ statusCode }) => statusCode === 200).length < 4) await sleep(50)
  t.pass('the SDK reads on')
})

t.test('where the first look meets what it does not know, the SDK looks at once', async (t) => {
  const { vault, asked } = await filled(t, { previous: '0'.repeat(32) })
  const { logs } = await startAudit(t, vault)
  while (!asked().some(bySdk)) await sleep(50)
  while (!logs().includes('cannot connect to the database')) await sleep(50)
  t.pass('the keys are known, though one that they name is missing')
})

t.test('where there is no token for the initial read, the SDK reports why', async (t) => {
  const { vault, asked } = await filled(t)
  const { logs } = await startAudit(t, vault, { IDENTITY_HEADER: 'wrong' })
  while (!logs().includes('Key Vault cannot be read')) await sleep(50)
  t.strictSame(asked().filter(({ statusCode }) => statusCode === 200), [])
})

t.test('where the first look is not answered, the SDK looks before the keys are overdue', async (t) => {
  const { vault } = await filled(t)
  const { port } = new URL(vault.url)
  const sockets: Socket[] = []
  const network = createServer((client) => {
    sockets.push(client.on('error', () => {}))
    // The first connection hangs
    if (sockets.length === 1) return
    const upstream = connect(Number(port), '127.0.0.1').on('error', () => {})
    client.pipe(upstream).pipe(client).on('close', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(network, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    network.close()
  })
  const tokens = new URL('/msi/token', vault.url)
  tokens.port = String((network.address() as AddressInfo).port)
  const { logs } = await startAudit(t, vault, { IDENTITY_ENDPOINT: tokens.href })
  while (!logs().includes('cannot connect to the database')) await sleep(50)
  t.ok(sockets.length > 1)
  t.notMatch(logs(), 'Key Vault cannot be read')
})
