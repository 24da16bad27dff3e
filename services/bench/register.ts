import { randomUUID } from 'node:crypto'
import { MongoClient } from 'mongodb'
import type { StoredRecord } from '#common/audit-record.ts'
import { request } from 'undici'
import type { Block } from '../audit/register.ts'
import { startSystem } from '../test/system.ts'
import { atMost, figure, inTurns, median, ratios } from './figures.ts'

const SIZES = [10_000, 1_000_000]
const BLOCK_RECORDS = 100
const BATCH_BLOCKS = 100
const ROUNDS = 5
const CALLS = 20
/** Of every thousand records, one is about this patient. */
const PATIENT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
const PATIENT_EVERY = 1_000
const START = Date.parse('2026-01-01T00:00:00Z')
const END = '2026-01-20T00:00:00Z'
/** Between two records, so that a million take twelve days. */
const RECORD_MS = 1_000

/** Measures answers of the register by the number of its records, through the gateway, with one client. */
export async function register () {
  const systems: Array<Awaited<ReturnType<typeof startSystem>>> = []
  try {
    for (const size of SIZES) {
      const system = await startSystem({ env: { MONITOR: 'off', LOG_LEVEL: 'warn' }, quiet: true })
      systems.push(system)
      await store(system.run.audit, size)
    }
    const names = SIZES.map(String)
    const page = `/audit?from=${new Date(START).toISOString()}&to=${END}&limit=100`
    const pages = await inTurns(names, ROUNDS, (name) => {
      const system = systems[names.indexOf(name)]!
      return timeOf(() => ask(system, page, 'application/json'))
    }, 1)
    figure('register-page-1000000-to-10000', ratios(pages['1000000']!, pages['10000']!), atMost(1.5))
    await accessLog(systems.at(-1)!)
  } finally {
    for (const { stop } of systems) await stop()
  }
}

type System = Awaited<ReturnType<typeof startSystem>>

/** The access log of a patient with 1,000 records, beside the driver that finds their blocks. */
async function accessLog (system: System) {
  const { connection, database } = system.run.audit
  const client = await new MongoClient(connection).connect()
  try {
    const blocks = client.db(database).collection<Block>('blocks')
    const times = await inTurns(['log', 'driver'], ROUNDS, (name) => timeOf(async () => {
      if (name === 'log') await ask(system, `/patient/${PATIENT}/access-log`, 'application/x-ndjson')
      else await blocks.find({ 'records.resource.id': PATIENT }).toArray()
    }, 3), 1)
    figure('register-access-log-ms', times.log)
    figure('register-access-log-to-driver', ratios(times.log, times.driver))
  } finally {
    await client.close()
  }
}

async function ask ({ baseUrl, auditorKey }: System, path: string, accept: string) {
  const headers = { 'ocp-apim-subscription-key': auditorKey, accept }
  const { statusCode, body } = await request(`${baseUrl}${path}`, { headers })
  const text = await body.text()
  if (statusCode !== 200) throw new Error(`${path.split('?')[0]}: ${statusCode}`)
  return text
}

/** The median time of a call in ms. */
async function timeOf (call: () => Promise<unknown>, calls = CALLS) {
  const times: number[] = []
  for (let i = 0; i < calls; i++) {
    const began = performance.now()
    await call()
    times.push(performance.now() - began)
  }
  return median(times)
}

async function store ({ connection, database }: System['run']['audit'], size: number) {
  const client = await new MongoClient(connection).connect()
  try {
    const blocks = client.db(database).collection<Block>('blocks')
    const chain = randomUUID()
    for (let first = 0; first < size; first += BATCH_BLOCKS * BLOCK_RECORDS) {
      await blocks.insertMany(Array.from({ length: BATCH_BLOCKS }, (_, i) => {
        return blockOf(chain, first + i * BLOCK_RECORDS)
      }))
    }
  } finally {
    await client.close()
  }
}

function blockOf (chain: string, first: number): Block {
  const records = Array.from({ length: BLOCK_RECORDS }, (_, i) => recordOf(first + i))
  const [from, to] = [records[0]!.createdDate, records.at(-1)!.createdDate]
  return { _id: `${chain}:${first + 1}`, _shardKey: chain, chain, firstSeq: first + 1, from, to, records }
}

function recordOf (n: number): StoredRecord {
  const id = n % PATIENT_EVERY === 0 ? PATIENT : randomUUID()
  return {
    id: randomUUID(),
    seq: n + 1,
    createdDate: new Date(START + n * RECORD_MS),
    operationId: randomUUID().replaceAll('-', ''),
    sourceSystemName: 'patient',
    resource: { type: 'patient', id, operation: 'load' },
    actor: `client-${n % 17}`,
    clientAddress: '192.0.2.1',
    disclosed: [{ id, version: randomUUID() }]
  }
}
