import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MongoClient } from 'mongodb'
import { request } from 'undici'
import type { Block } from '../audit/register.ts'
import { startSystem } from '../test/system.ts'
import { append } from './append.ts'
import { atLeast, atMost, figure, inTurns, median, ratios } from './figures.ts'
import { auditorPages } from './pages.ts'
import { END, PATIENT, START, store } from './register-data.ts'

const SIZES = [10_000, Number(process.env.REGISTER_RECORDS ?? 1_000_000)]
const ROUNDS = 5
const CALLS = 20
const MEMORY_MS = 50
const PROOF_BYTES = 2_048
/** With room, V8 puts off the collection of garbage, and the memory says little of what is needed. */
const SMALL_HEAP = ['--max-old-space-size=48', '--max-semi-space-size=2']
const VERIFY = fileURLToPath(import.meta.resolve('../cli/register-verify.ts'))

/** Measures the register by the number of its records; answers through the gateway, with one client. */
export async function register () {
  await append()
  const systems: Array<Awaited<ReturnType<typeof startSystem>>> = []
  try {
    while (systems.length < SIZES.length) {
      const env = { MONITOR: 'off', AUDITOR_PAGE: 'on', LOG_LEVEL: 'warn' }
      systems.push(await startSystem({ env, quiet: true }))
    }
    const ids = await Promise.all(SIZES.map((size, i) => store(systems[i]!.run.audit, size)))
    const [few, many] = systems as [System, System]
    const largest = SIZES.at(-1)!
    const proof = await ask(many, `/audit/${ids.at(-1)}/proof`, 'text/plain')
    figure(`register-proof-bytes-${largest}`, Buffer.byteLength(proof), atMost(PROOF_BYTES))
    const { perSecond } = await verify(many)
    figure(`register-verify-per-second-${largest}`, perSecond, atLeast(20_000))
    const ratio = (await verify(many, SMALL_HEAP)).peak / (await verify(few, SMALL_HEAP)).peak
    figure(`register-verify-memory-${largest}-to-${SIZES[0]}`, ratio, atMost(1.5))
    const names = SIZES.map(String)
    const page = `/audit?from=${new Date(START).toISOString()}&to=${END}&limit=100`
    const pages = await inTurns(names, ROUNDS, (name) => {
      const system = systems[names.indexOf(name)]!
      return timeOf(() => ask(system, page, 'application/json'))
    }, 1)
    const byMany = ratios(pages[largest]!, pages[SIZES[0]!]!)
    figure(`register-page-${largest}-to-${SIZES[0]}`, byMany, atMost(1.5))
    await accessLog(many)
    await auditorPages(many, largest)
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
    figure('register-access-log-ms', times.log, atMost(50))
    figure('register-access-log-driver-ms', times.driver, atMost(5))
    figure('register-access-log-to-driver', ratios(times.log, times.driver))
  } finally {
    await client.close()
  }
}

/** Checks the whole register in a process of its own. */
async function verify ({ localDir }: System, flags: string[] = []) {
  const child = spawn(process.execPath, [...flags, VERIFY], {
    env: { PATH: process.env.PATH, LOCAL_DIR: localDir }, stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit')
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { printed += text })
  let peak = 0
  while (child.exitCode === null) {
    await Promise.race([sleep(MEMORY_MS), ended])
    const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8')
      .catch(() => '')) ?? []
    peak = Math.max(peak, Number(kilobytes ?? 0))
  }
  const [, rate] = /, ([\d,]+) entries a second/.exec(printed) ?? []
  if (child.exitCode !== 0 || !rate) throw new Error(`register:verify: ${printed}`)
  return { perSecond: Number(rate.replaceAll(',', '')), peak }
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
