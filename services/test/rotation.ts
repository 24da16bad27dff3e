import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'tap'
import { Pool } from 'undici'
import { secretNames } from '../rotation/strategies.ts'
import { startSystem } from './system.ts'

// Every secret is rotated repeatedly under load, while the vault is killed, restarts and hangs. The load
// lasts for ROTATION_SECONDS, and on a slow machine until there were rotations enough.

const run = promisify(execFile)
const ROTATE = fileURLToPath(import.meta.resolve('../cli/rotate.ts'))

const CLIENTS = 32
const SECONDS = Number(process.env.ROTATION_SECONDS ?? 60)
const EVERY_MS = 5_000
const REFRESH_SECONDS = 1
const GRACE_SECONDS = 8
const OUTAGE_MS = 15_000
/** Within it every process has looked at the vault, and a new version is active. */
const KNOWN_MS = 2_500
/** Clients are told of new subscription keys when the command has ended, so those come last. */
const LAST = 'gateway-subscription-keys'
const NAMES = secretNames.toSorted((a, b) => Number(a === LAST) - Number(b === LAST))
const timeout = (SECONDS + 540) * 1_000

type Headers = Record<string, string>

test('keys, passwords and connection strings rotate without a failed request', { timeout }, async (t) => {
  const system = await startSystem({ env: { KEY_REFRESH_SECONDS: String(REFRESH_SECONDS) } })
  t.teardown(() => system.stop())
  const pool = new Pool(system.baseUrl, { connections: CLIENTS })
  t.teardown(() => pool.destroy())

  let subscriptionKey = system.subscriptionKey
  const answers = new Map<string, number>()
  const count = (answer: string) => answers.set(answer, (answers.get(answer) ?? 0) + 1)

  async function call (
    operation: string, method: 'GET' | 'POST' | 'PUT', path: string, payload?: object, headers: Headers = {}
  ) {
    try {
      const answer = await pool.request({
        method,
        path,
        body: payload && JSON.stringify(payload),
        headers: { 'ocp-apim-subscription-key': subscriptionKey, ...headers }
      })
      const body = await answer.body.json() as { id: string } & Array<{ id: string }>
      count(`${operation} ${answer.statusCode}`)
      return { statusCode: answer.statusCode, headers: answer.headers, body }
    } catch (error) {
      count(`${operation} ${(error as Error).name}`)
    }
  }

  const load = { over: false }
  async function client (lastName: string) {
    while (!load.over) {
      const details = { firstName: 'Ada', lastName, gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' }
      const once = { 'idempotency-key': randomBytes(16).toString('hex') }
      const created = await call('create', 'POST', '/patient', details, once)
      if (created?.statusCode !== 201) continue
      const { id } = created.body
      const repeat = await call('repeat', 'POST', '/patient', details, once)
      if (repeat?.body.id !== id) count('a repeat was another patient')
      await call('load', 'GET', `/patient/${id}`)
      await call('update', 'PUT', `/patient/${id}`, { ...details, postCode: 'W1S5' })
      const first = await call('search', 'POST', '/patient/search?limit=1&sort=-lastUpdated', { lastName })
      const next = /<([^>]*)>; rel="next"/.exec(String(first?.headers.link))?.[1]
      if (next) await call('next page', 'POST', next, { lastName })
    }
  }

  /** The statuses of both services for the host keys that `keys` hold. */
  async function statusesOf (keys: Map<string, string>) {
    const { patient, audit } = system.run
    const services = [[patient.url, 'patient-host-key'], [audit.url, 'audit-host-key']]
    return await Promise.all(services.map(async ([url, name]) => {
      const response = await fetch(`${url}/keys`, { headers: { 'x-functions-key': keys.get(name!)! } })
      await response.body?.cancel()
      return response.status
    }))
  }

  let rotations = 0
  async function rotate () {
    const before = system.secrets()
    const env = { ...process.env, LOCAL_DIR: system.localDir, KEY_GRACE_SECONDS: String(GRACE_SECONDS) }
    await run(process.execPath, [ROTATE, ...NAMES], { env })
    rotations++
    const rotatedAt = performance.now()
    const after = system.secrets()
    t.same(NAMES.filter((name) => after.get(name) === before.get(name)), [], 'each has a new value')
    sleep(KNOWN_MS).then(() => {
      subscriptionKey = JSON.parse(after.get('gateway-subscription-keys')!)['local-client'].key
    })

    /** To be awaited after the grace time. */
    return async () => {
      await sleep(Math.max(0, rotatedAt + (GRACE_SECONDS + 0.2) * 1_000 - performance.now()))
      return await statusesOf(before)
    }
  }

  const until = performance.now() + SECONDS * 1_000
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(`Lovelace-${i}`))
  const statuses: Array<Promise<number[]>> = []
  const outageBegins = performance.now() + SECONDS * 300
  let restarts = 0
  let hung = false
  const isEnough = () => hung && restarts >= 2 && rotations >= 4
  let next = performance.now() + EVERY_MS
  for (; performance.now() < until - EVERY_MS || !isEnough(); next += EVERY_MS) {
    const afterGrace = await rotate()
    await sleep(KNOWN_MS)
    if (!hung && performance.now() > outageBegins) {
      hung = true
      system.kill('vault', 'SIGSTOP')
      const ends = performance.now() + OUTAGE_MS
      t.same(await afterGrace(), [401, 401], 'a superseded key is refused in an outage too')
      await sleep(ends - performance.now())
      system.kill('vault', 'SIGCONT')
      next = performance.now() + KNOWN_MS
    } else {
      statuses.push(afterGrace())
      await system.restarted('vault', system.kill('vault'))
      restarts++
    }
    await sleep(Math.max(0, next - performance.now()))
  }
  load.over = true
  await Promise.all(clients)

  const summary = `${rotations} rotations of ${NAMES.length} secrets, ${restarts} restarts of the vault`
  t.comment(summary, Object.fromEntries([...answers].sort()))
  t.ok(isEnough())
  const good = /^(create 201|repeat 201|(load|update|search|next page) 200)$/
  t.same([...answers].filter(([answer]) => !good.test(answer)), [], 'no request failed')
  const operations = ['create 201', 'repeat 201', 'load 200', 'update 200', 'search 200', 'next page 200']
  for (const operation of operations) t.ok(answers.get(operation)! > CLIENTS, operation)
  const later = (await Promise.all(statuses)).flat()
  t.same(later.filter((status) => status !== 401), [], 'after its grace time both services refuse a key')
  const keysAndPasswords = [...system.secrets().values()].flatMap((value) => value.match(/[\w-]{43}/g) ?? [])
  t.ok(keysAndPasswords.length >= 10)
  const logged = keysAndPasswords.filter((value) => system.logs().includes(value))
  t.same(logged.filter((value) => value !== system.subscriptionKey), [], 'no log line holds one')
})
