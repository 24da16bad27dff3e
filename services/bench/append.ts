import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient, type Db } from 'mongodb'
import { parseVerifierKey } from '#common/transparency/notes.ts'
import { LOG_ORIGIN } from '#common/transparency/names.ts'
import type { StoredCheckpoint } from '#common/transparency/documents.ts'
import { publicKeysOf } from '../cli/system/public-keys.ts'
import { delaysOf } from './log-delays.ts'
import { startSystem } from '../test/system.ts'
import { cpuOf } from './contenders.ts'
import { atLeast, atMost, figure, inTurns, quantile, ratios } from './figures.ts'
import { load } from './load.ts'

const ROUNDS = 7
const ROUND_MS = 3_000
const CLIENTS = 64
/** After each round, so that log and review of its last records take no time of the next one. */
const PAUSE_MS = 3_000
const WITNESSED_MS = 60_000
const WITHOUT_REVIEW = `--import ${import.meta.resolve('./without-review.ts')}`
const WITHOUT_LOG = `${WITHOUT_REVIEW} --import ${import.meta.resolve('./without-log.ts')}`

const resource = { type: 'patient', id: '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11', operation: 'load' }
const RECORD = JSON.stringify({ sourceSystemName: 'bench', actor: 'a-client', resource })

/**
 * Measures how many records a second are stored with the log, without it, and with its review, and how long
 * it takes until they are in the log.
 */
export async function append () {
  const start = (more: NodeJS.ProcessEnv = {}) =>
    startSystem({ env: { MONITOR: 'off', LOG_LEVEL: 'warn', ...more }, quiet: true })
  const systems = {
    review: await start(),
    log: await start({ NODE_OPTIONS: WITHOUT_REVIEW }),
    neither: await start({ NODE_OPTIONS: WITHOUT_LOG })
  }
  try {
    const measured = await inTurns(['review', 'log', 'neither'], ROUNDS, async (name) => {
      const { run: { audit }, keys } = systems[name]
      const target = { baseUrl: audit.url, headers: { 'x-functions-key': keys['audit-host-key'] } }
      const call = { method: 'POST', path: '/audit', body: RECORD, expected: 201 } as const
      const before = cpuOf(audit.pid!)
      const { count, perSecond } = await load(target, CLIENTS, ROUND_MS, () => call)
      await sleep(PAUSE_MS)
      return { perSecond, cpu: (cpuOf(audit.pid!) - before) / count }
    }, 1)
    const valuesOf = (name: keyof typeof systems, value: 'perSecond' | 'cpu') =>
      measured[name].map((round) => round[value])
    const toNeither = (name: 'review' | 'log', value: 'perSecond' | 'cpu') =>
      ratios(valuesOf(name, value), valuesOf('neither', value))
    figure('register-append-per-second', valuesOf('review', 'perSecond'))
    figure('register-append-with-to-without-log', toNeither('log', 'perSecond'), atLeast(0.95))
    figure('register-append-cpu-with-to-without-log', toNeither('log', 'cpu'))
    figure('register-append-with-review-to-without-log', toNeither('review', 'perSecond'))
    figure('register-append-cpu-with-review-to-without-log', toNeither('review', 'cpu'))
    await delays(systems.review)
  } finally {
    for (const { stop } of Object.values(systems)) await stop()
  }
}

async function delays ({ run: { audit }, secrets }: Awaited<ReturnType<typeof startSystem>>) {
  const keys = secrets()
  const { witness } = publicKeysOf(keys.get('audit-log-key')!, keys.get('witness-key')!, LOG_ORIGIN)
  const client = await new MongoClient(audit.connection).connect()
  try {
    const db = client.db(audit.database)
    await witnessed(db)
    const { sequenced, witnessed: [cosigned] } = await delaysOf(db, [parseVerifierKey(witness)])
    figure('register-sequenced-p99-ms', quantile(sequenced, 0.99), atMost(2_000))
    figure('register-witnessed-max-ms', cosigned!.reduce((a, b) => Math.max(a, b), 0), atMost(15_000))
  } finally {
    await client.close()
  }
}

/** Waits until the newest checkpoint is witnessed. */
async function witnessed (db: Db) {
  const deadline = performance.now() + WITNESSED_MS
  const checkpoints = db.collection<StoredCheckpoint>('checkpoints')
  while (!(await checkpoints.findOne({}, { sort: { _id: -1 } }))?.witnessedDate) {
    if (performance.now() > deadline) throw new Error('the newest checkpoint is not witnessed')
    await sleep(100)
  }
}
