import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Pool } from 'undici'
import { startIngestion, type Mood } from './ingestion.ts'
import { inspectable, memoryOf } from './inspected.ts'
import { startSystem } from './system.ts'

// npm run test:telemetry: ingestion is away, hangs and refuses while requests go on. Each lasts for
// OUTAGE_SECONDS.

const SECONDS = Number(process.env.OUTAGE_SECONDS ?? 30)
const CLIENTS = 8
const MOODS: Mood[] = ['away', 'not at all', 400, 429, 500]
const MIB = 2 ** 20
const PATIENT = JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' })
const NAMES = ['gateway', 'patient', 'audit'] as const

t.setTimeout((MOODS.length + 2) * (SECONDS + 60) * 1_000)
const ingestion = await startIngestion({ keep: false })
// The SDK that reads keys is loaded for the second look at the vault: before memory is looked at
const system = await startSystem({
  env: { ...ingestion.settings, ...inspectable, LOG_LEVEL: 'warn', KEY_REFRESH_SECONDS: '3' }
})
const pool = new Pool(system.baseUrl, { connections: CLIENTS })
const headers = { 'ocp-apim-subscription-key': system.subscriptionKey }
t.teardown(async () => {
  await pool.destroy()
  await system.stop()
  await ingestion.close()
})

const statuses = new Map<number, number>()

async function call (method: 'GET' | 'POST', path: string, body: string | null) {
  const { statusCode, body: answer } = await pool.request({ method, path, headers, body })
  statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  return answer.json() as Promise<{ id: string }>
}

/** Requests of both kinds for `ms`. */
async function load (ms: number) {
  const ends = performance.now() + ms
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (performance.now() < ends) {
      const { id } = await call('POST', '/patient', PATIENT)
      await call('GET', `/patient/${id}`, null)
    }
  }))
}

async function memory () {
  const found = await memoryOf(system, NAMES.map((name) => system.run[name].pid!))
  return found.map((of, i) => ({ name: NAMES[i]!, ...of }))
}

const isAsBefore = ({ name, heap, rss }: Awaited<ReturnType<typeof memory>>[number]) => {
  const was = before.find((one) => one.name === name)!
  return heap <= 1.1 * was.heap && rss <= was.rss + 64 * MIB
}

// As warm as it gets
await load(Math.max(10, SECONDS) * 1_000)
await sleep(3_000)
const before = await memory()

for (const mood of MOODS) {
  t.test(`ingestion that answers ${mood} costs no request and no memory`, async (t) => {
    await ingestion.answer(mood)
    await load(SECONDS * 1_000)
    await ingestion.answer('well')
    await load(1_000)
    // What was begun under it has to fail first, and what that held to be let go
    let after = await memory()
    for (let look = 0; look < 10 && !after.every(isAsBefore); look++) {
      await sleep(2_000)
      after = await memory()
    }
    for (const { name, heap, rss } of after) {
      const was = before.find((one) => one.name === name)!
      const more = `${((rss - was.rss) / MIB).toFixed(1)} MiB more`
      t.comment(`${name}: heap ${(heap / was.heap).toFixed(3)} of before, resident ${more}`)
      t.ok(heap <= 1.1 * was.heap, `${name}'s heap`)
      t.ok(rss <= was.rss + 64 * MIB, `${name}'s resident set`)
    }
    t.strictSame([...statuses.keys()].sort(), [200, 201])
  })
}

t.test('what was lost is logged at most once a minute', async (t) => {
  t.comment(JSON.stringify(Object.fromEntries(statuses)))
  const warnings = system.logs().split('\n').filter((line) => line.includes('telemetry was lost'))
    .map((line) => JSON.parse(line))
  for (const name of NAMES) {
    const times = warnings.filter((line) => line.name === name).map(({ time }) => Date.parse(time))
    t.ok(times.length > 0, `${name} logged it`)
    for (let i = 1; i < times.length; i++) t.ok(times[i]! - times[i - 1]! >= 59_000)
  }
})
