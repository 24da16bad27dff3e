import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test, type Test } from 'tap'
import { Pool } from 'undici'
import { LOG_ORIGIN, WITNESS_NAME } from '#common/transparency/names.ts'
import {
  cosignerOf, parseNote, parseVerifierKey, signerOf, verifiedSignatures, type Note
} from '#common/transparency/notes.ts'
import { secretNames } from '../rotation/strategies.ts'
import { startSystem, type System } from './system.ts'

// Every secret is rotated repeatedly under load, while the vault is killed, restarts and hangs. The load
// lasts for ROTATION_SECONDS, and on a slow machine until there were rotations enough. Auditors ask the
// register meanwhile, and its log changes its key, which the witness has to follow.

const run = promisify(execFile)
const ROTATE = fileURLToPath(import.meta.resolve('../cli/rotate.ts'))

const CLIENTS = 32
const AUDITORS = 2
const SECONDS = Number(process.env.ROTATION_SECONDS ?? 60)
const EVERY_MS = 5_000
const REFRESH_SECONDS = 1
const GRACE_SECONDS = 8
const OUTAGE_MS = 15_000
/** Within it every process has looked at the vault, and a new version is active. */
const KNOWN_MS = 2_500
/** Clients get new subscription keys when the command has ended, so those come last. */
const LAST = 'gateway-subscription-keys'
/** Its public key is a setting of the audit service, so that a rotation needs a deployment. */
const WITNESS_KEY = 'witness-key'
const NAMES = secretNames.filter((name) => name !== WITNESS_KEY)
  .toSorted((a, b) => Number(a === LAST) - Number(b === LAST))
const timeout = (SECONDS + 540) * 1_000

type Headers = Record<string, string>

test('keys, passwords and connection strings rotate without a failed request', { timeout }, async (t) => {
  const system = await startSystem({ env: { KEY_REFRESH_SECONDS: String(REFRESH_SECONDS) } })
  t.teardown(() => system.stop())
  const pool = new Pool(system.baseUrl, { connections: CLIENTS })
  t.teardown(() => pool.destroy())

  let subscriptionKey = system.subscriptionKey
  let auditorKey = system.auditorKey
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

  const load = { over: false, patientId: '' }
  async function client (lastName: string) {
    while (!load.over) {
      const details = { firstName: 'Ada', lastName, gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' }
      const once = { 'idempotency-key': randomBytes(16).toString('hex') }
      const created = await call('create', 'POST', '/patient', details, once)
      if (created?.statusCode !== 201) continue
      const { id } = created.body
      load.patientId = id
      const repeat = await call('repeat', 'POST', '/patient', details, once)
      if (repeat?.body.id !== id) count('a repeat was another patient')
      await call('load', 'GET', `/patient/${id}`)
      await call('update', 'PUT', `/patient/${id}`, { ...details, postCode: 'W1S5' })
      const first = await call('search', 'POST', '/patient/search?limit=1&sort=-lastUpdated', { lastName })
      const next = nextPage(first)
      if (next) await call('next page', 'POST', next, { lastName })
    }
  }

  const nextPage = (answer: Awaited<ReturnType<typeof call>>) =>
    /<([^>]*)>; rel="next"/.exec(String(answer?.headers.link))?.[1]

  async function auditor () {
    const ask = (operation: string, path: string) =>
      call(operation, 'GET', path, undefined, { 'ocp-apim-subscription-key': auditorKey })
    while (!load.over) {
      if (load.patientId === '') await sleep(10)
      if (load.patientId === '') continue
      const first = await ask('access log', `/patient/${load.patientId}/access-log?limit=1`)
      const next = nextPage(first)
      if (next) await ask('next records', next)
      const [from, to] = [-1_000, 1_000].map((ms) => new Date(Date.now() + ms).toISOString())
      await ask('question', `/audit?from=${from}&to=${to}&actor=local-client&limit=10`)
    }
  }

  /** The statuses of both services for the host keys that `keys` hold, and for the query key. */
  async function statusesOf (keys: Map<string, string>) {
    const { patient, audit } = system.run
    const services = [
      [`${patient.url}/keys`, 'patient-host-key'], [`${audit.url}/keys`, 'audit-host-key'],
      [`${audit.url}/log/keys`, 'audit-query-key']
    ]
    return await Promise.all(services.map(async ([url, name]) => {
      const response = await fetch(url!, { headers: { 'x-functions-key': keys.get(name!)! } })
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
      const keys = JSON.parse(after.get('gateway-subscription-keys')!)
      subscriptionKey = keys['local-client'].key
      auditorKey = keys['local-auditor'].key
    })

    /** To be awaited after the grace time. */
    return async () => {
      await sleep(Math.max(0, rotatedAt + (GRACE_SECONDS + 0.2) * 1_000 - performance.now()))
      return await statusesOf(before)
    }
  }

  const until = performance.now() + SECONDS * 1_000
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(`Lovelace-${i}`))
  const auditors = Array.from({ length: AUDITORS }, auditor)
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
      t.same(await afterGrace(), [401, 401, 401], 'a superseded key is refused in an outage too')
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
  await Promise.all([...clients, ...auditors])

  const summary = `${rotations} rotations of ${NAMES.length} secrets, ${restarts} restarts of the vault`
  t.comment(summary, Object.fromEntries([...answers].sort()))
  t.ok(isEnough())
  const good = /^(create 201|repeat 201|(load|update|search|next page|access log|next records|question) 200)$/
  t.same([...answers].filter(([answer]) => !good.test(answer)), [], 'no request failed')
  const operations = ['create 201', 'repeat 201', 'load 200', 'update 200', 'search 200', 'next page 200']
  for (const operation of operations) t.ok(answers.get(operation)! > CLIENTS, operation)
  for (const question of ['access log 200', 'next records 200', 'question 200']) {
    t.ok(answers.get(question)! > rotations, question)
  }
  await isHandedOver(t, system, rotations)
  const later = (await Promise.all(statuses)).flat()
  t.same(later.filter((status) => status !== 401), [], 'after its grace time both services refuse a key')
  const keysAndPasswords = [...system.secrets().values()].flatMap((value) => value.match(/[\w-]{43}/g) ?? [])
  t.ok(keysAndPasswords.length >= 10)
  const logged = keysAndPasswords.filter((value) => system.logs().includes(value))
  t.same(logged.filter((value) => value !== system.subscriptionKey), [], 'no log line holds one')
})

/** Each key of the log handed over to the next one, and the witness cosigns what the newest ones sign. */
async function isHandedOver (t: Test, system: System, rotations: number) {
  const get = async (path: string) => {
    const headers = { 'x-functions-key': system.secrets().get('audit-query-key')! }
    const response = await fetch(`${system.run.audit.url}${path}`, { headers })
    return response.status === 200 ? await response.text() : ''
  }
  const seed = Buffer.from(system.secrets().get('audit-log-key')!, 'base64url')
  const newest = signerOf(LOG_ORIGIN, seed).vkey
  let keys = await get('/log/keys')
  // It publishes a key when it signs with it, at the latest after a minute
  for (const until = Date.now() + 90_000; !keys.includes(newest) && Date.now() < until; await sleep(200)) {
    keys = await get('/log/keys')
  }
  const [first = '', ...successions] = keys.trimEnd().split(/\n\n(?!— )/)
  let trusted = parseVerifierKey(first)
  for (const text of successions) {
    const note = parseNote(`${text}\n`)
    t.equal(verifiedSignatures(note, [trusted]).length, 1, 'signed by the key before')
    const [origin, vkey] = note.text.split('\n')
    t.equal(origin, `${LOG_ORIGIN}/keys`)
    trusted = parseVerifierKey(vkey!)
  }
  t.equal(successions.length, rotations)
  t.equal(trusted.vkey, newest, 'the last one is the newest of the vault')

  const { vkey } = cosignerOf(WITNESS_NAME, Buffer.from(system.keys['witness-key'], 'base64url'))
  const isCosigned = (note: Note) => verifiedSignatures(note, [parseVerifierKey(vkey)]).length > 0
  let note = parseNote(await get('/log/checkpoint'))
  for (const until = Date.now() + 60_000; !isCosigned(note) && Date.now() < until; await sleep(200)) {
    note = parseNote(await get('/log/checkpoint'))
  }
  t.ok(isCosigned(note), 'the witness cosigns')
  t.equal(verifiedSignatures(note, [trusted]).length, 1, 'a checkpoint of the newest key')
  t.equal(verifiedSignatures(note, [parseVerifierKey(first)]).length, 0, 'which the first one did not sign')
}
