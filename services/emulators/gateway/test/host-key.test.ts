import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { freePorts } from '../../processes/probes.ts'
import { access, startVault, type Vault } from '../../vault/test/vault.ts'
import { asClient, HOST_KEY, SUBSCRIPTION_KEYS } from './gateway.ts'
import { inSeconds, startGuarded } from './policies.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
const PRELOADS = [
  'orphan', 'localhost'
].flatMap((name) => ['--import', import.meta.resolve(`../../processes/${name}.ts`)])
const REFRESH_SECONDS = 1

/** The gateway in a process of its own, which opens `vault` as its identity. */
async function runGateway (t: Test, { url: vaultUrl, headers, ca }: Vault, serviceUrl: string) {
  const [port] = await freePorts()
  const gateway = spawn(process.execPath, [...PRELOADS, MAIN], {
    env: {
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? 'node_modules/.cache/node',
      HOST: '127.0.0.1',
      PORT: String(port),
      DRAIN_SECONDS: '0',
      PATIENT_URL: serviceUrl,
      AUDIT_URL: serviceUrl,
      KEY_VAULT_URI: vaultUrl,
      AZURE_CLIENT_ID: access.gateway!.clientId,
      IDENTITY_ENDPOINT: `${vaultUrl}/msi/token`,
      IDENTITY_HEADER: headers.gateway,
      NODE_EXTRA_CA_CERTS: ca,
      KEY_REFRESH_SECONDS: String(REFRESH_SECONDS)
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  const ended = once(gateway, 'close')
  t.teardown(async () => {
    gateway.kill()
    await ended
  })
  let logs = ''
  gateway.stdout!.setEncoding('utf8').on('data', (chunk) => { logs += chunk })
  while (!logs.includes('"listening"')) await once(gateway.stdout!, 'data')
  const call = async () => {
    const {
      statusCode, body
    } = await request(`http://127.0.0.1:${port}/patient`, { method: 'POST', body: '{}', headers: asClient })
    await body.dump()
    return statusCode
  }
  return { call, logs: () => logs }
}

t.test('the policies read the host key from the vault through a rotation and an outage', async (t) => {
  const vault = await startVault(t)
  const set = async (value: string, more: object = {}): Promise<string> => {
    const stored = await vault.as('deployer', 'PUT', '/secrets/patient-host-key', { value, ...more })
    return stored.json().id.split('/').at(-1)
  }
  await vault.as('deployer', 'PUT', '/secrets/gateway-subscription-keys', { value: SUBSCRIPTION_KEYS })
  const first = await set(HOST_KEY)
  const service = await startGuarded(t, HOST_KEY)
  const { call, logs } = await runGateway(t, vault, service.url)
  const shown = () => service.seen.at(-1)!.key
  const reads = () => vault.lines().filter(({
    operation, secret
  }) => operation === 'getSecret' && secret === 'patient-host-key')
  /** Calls until the gateway has read `version`. */
  const callUntilRead = async (version: string) => {
    while (!reads().some((read) => read.version === version)) {
      t.equal(await call(), 200)
      await sleep(100)
    }
  }

  t.equal(await call(), 200)
  t.equal(shown(), HOST_KEY)
  t.ok(reads().length >= 1, 'the vault was asked')

  // A version that is to come: known from now on, shown from then on
  const next = 'the-next-host-key-of-the-service'
  const nextId = await set(next, { tags: { previous: first }, attributes: { nbf: inSeconds(4) } })
  service.keys.add(next)
  await callUntilRead(nextId)
  while (shown() !== next) {
    t.equal(await call(), 200)
    await sleep(200)
  }
  t.strictSame(new Set(service.seen.map(({ key }) => key)), new Set([HOST_KEY, next]))

  // Another that the vault returns before it hangs, and the one in use ends
  const last = 'the-last-host-key-of-the-service'
  const lastId = await set(last, { attributes: { nbf: inSeconds(3_600) }, tags: { previous: nextId } })
  await callUntilRead(lastId)
  t.equal(await call(), 200)
  t.equal(shown(), next)
  vault.process.kill('SIGSTOP')
  // Longer than the gateway uses what it has read
  await sleep(REFRESH_SECONDS * 1_000 + 100)
  t.strictSame(await Promise.all(Array.from({
    length: 8
  }, call)), Array(8).fill(200), 'an outage costs no request')
  service.keys.delete(next)
  service.keys.add(last)
  t.equal(await call(), 200, 'though the key in use ends meanwhile')
  t.equal(shown(), last)
  vault.process.kill('SIGCONT')

  for (const key of [HOST_KEY, next, last]) t.notMatch(logs(), key)
})

t.test('until the vault has a key there is a 503, and no call of the service', async (t) => {
  const vault = await startVault(t)
  await vault.as('deployer', 'PUT', '/secrets/gateway-subscription-keys', { value: SUBSCRIPTION_KEYS })
  const service = await startGuarded(t, HOST_KEY)
  const { call } = await runGateway(t, vault, service.url)
  t.equal(await call(), 503)
  t.equal(service.seen.length, 0)
  await vault.as('deployer', 'PUT', '/secrets/patient-host-key', { value: HOST_KEY })
  t.equal(await call(), 200)
})
