import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { MongoClient } from 'mongodb'
import { test } from 'tap'
import { Pool } from 'undici'
import { startSystem, type Name } from './system.ts'

// Processes are killed in turn under load; what was answered must hold afterwards. FAULT_SECONDS is how long.

const CLIENTS = 16
const SECONDS = Number(process.env.FAULT_SECONDS ?? 30)
const KILLED: Name[] = ['patient', 'audit', 'database']
const BETWEEN_KILLS_MS = 1_500
const timeout = (SECONDS + 60) * 1_000
interface Patient {
  id: string
  lastUpdated: string
  lastName: string
  postCode: string
}

/** What a client knows of a patient of its own: the last answer, or what unanswered writes may have made. */
interface Known {
  id: string
  possible: string[]
}

interface Read {
  operationId: string
  disclosed: string[]
}

test('killed processes cost no answer that was given, and no record', { timeout }, async (t) => {
  const system = await startSystem({ env: { LOG_LEVEL: 'info' } })
  t.teardown(() => system.stop())
  const { run: { patient, audit } } = system
  const pool = new Pool(system.baseUrl, { connections: CLIENTS, headersTimeout: 20_000 })
  t.teardown(() => pool.destroy())

  const known: Known[] = []
  const reads: Read[] = []
  const statuses = new Map<string, number>()
  let unanswered = 0

  /** One request through the gateway: its answer, or nothing where the connection broke. */
  async function call (operation: string, method: 'GET' | 'POST' | 'PUT', path: string, payload?: object) {
    const operationId = randomBytes(16).toString('hex')
    try {
      const { statusCode, headers, body } = await pool.request({
        method,
        path,
        body: payload && JSON.stringify(payload),
        headers: {
          'ocp-apim-subscription-key': system.subscriptionKey,
          traceparent: `00-${operationId}-${randomBytes(8).toString('hex')}-01`
        }
      })
      const answer = await body.json() as Patient & Patient[]
      const isRetryable = statusCode === 503 && headers['retry-after']
      const status = isRetryable ? '503 with Retry-After' : String(statusCode)
      statuses.set(`${operation} ${status}`, (statuses.get(`${operation} ${status}`) ?? 0) + 1)
      return { operationId, statusCode, answer }
    } catch {
      unanswered++
    }
  }

  async function client (lastName: string, until: number) {
    const own: Known[] = []
    for (let i = 0; performance.now() < until; i++) {
      const details = { firstName: 'Ada', lastName, gender: 'female', dateOfBirth: '1915', postCode: code(i) }
      const created = await call('create', 'POST', '/patient', details)
      if (created?.statusCode === 201) {
        const one = { id: created.answer.id, possible: [details.postCode] }
        own.push(one)
        known.push(one)
      }
      const one = own.at(-1)
      if (one) {
        const loaded = await call('load', 'GET', `/patient/${one.id}`)
        if (loaded?.statusCode === 200) reads.push({ operationId: loaded.operationId, disclosed: [one.id] })
        const postCode = code(i + 5_000)
        const updated = await call('update', 'PUT', `/patient/${one.id}`, { ...details, postCode })
        one.possible = updated?.statusCode === 200 ? [postCode] : [...one.possible, postCode]
      }
      const found = await call('search', 'POST', '/patient/search?limit=20&sort=-lastUpdated', { lastName })
      if (found?.statusCode !== 200) continue
      reads.push({ operationId: found.operationId, disclosed: found.answer.map(({ id }) => id) })
    }
  }

  const until = performance.now() + SECONDS * 1_000
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(`Lovelace-${i}`, until))
  let kills = 0
  for (; performance.now() < until - BETWEEN_KILLS_MS; kills++) {
    await sleep(BETWEEN_KILLS_MS)
    const name = KILLED[kills % KILLED.length]!
    await system.restarted(name, system.kill(name))
  }
  const restarted = performance.now()
  await Promise.all(clients)

  const summary = `${kills} kills, ${known.length} patients, ${reads.length} reads, ${unanswered} unanswered`
  t.comment(summary, Object.fromEntries([...statuses].sort()))
  t.ok(kills >= KILLED.length, 'each process was killed')
  const allowed = /^(create (201|503 with Retry-After)|(load|update|search) (200|503 with Retry-After))$/
  const others = [...statuses.keys()].filter((status) => !allowed.test(status))
  t.same(others, [], 'only the contract\'s statuses were answered')

  let normal
  while (!normal && performance.now() < restarted + SECONDS * 1_000) {
    normal = (await call('load', 'GET', `/patient/${known[0]!.id}`))?.statusCode === 200
  }
  t.ok(normal, 'the gateway answers normally')

  const databases = await Promise.all([patient, audit].map(async ({ connection, database }) => {
    const client = await new MongoClient(connection!).connect()
    t.teardown(() => client.close())
    return client.db(database)
  }))
  const patients = databases[0]!.collection<{ _id: string, _audit: string, postCode: string }>('patients')
  const blocks = databases[1]!.collection('blocks')
  const stored = new Map((await patients.find().toArray()).map((patient) => [patient._id, patient]))
  const records = (await blocks.find().toArray()).flatMap((block) => block.records)
  const recordById = new Map(records.map((record) => [record.id, record]))
  const recordsOf = Map.groupBy(records, ({ operationId }) => operationId)

  const lost = known.filter(({ id, possible }) => !possible.includes(stored.get(id)?.postCode ?? ''))
  t.same(lost, [], 'every patient that was answered 201 is there as it was last written')
  const unrecorded = [...stored.values()]
    .filter(({ _id, _audit }) => recordById.get(_audit)?.resource.id !== _id)
  t.same(unrecorded, [], 'every stored patient has its record')
  const unrecordedReads = reads.filter(({ operationId, disclosed }) => {
    return !recordsOf.get(operationId)?.some((record) => {
      return isDeepStrictEqual(record.disclosed?.map(({ id }: { id: string }) => id), disclosed)
    })
  })
  t.same(unrecordedReads, [], 'every answered read has its record')
  const chains = Map.groupBy(records.map((record, i) => ({ ...record, i })), ({ id }) => id)
  t.same([...chains.values()].filter(({ length }) => length > 1), [], 'no record stands twice')
})

function code (i: number) {
  return String(i % 10_000).padStart(4, '0')
}
