import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { startSystem, type System } from '../test/system.ts'
import { figure, median } from './figures.ts'
import { startSink } from './sink.ts'
import { bundle, startTimed, type FirstCall } from './timed.ts'

const ROUNDS = 11
const IDLE_SECONDS = 3
/** How long a process is idle before its memory is read; telemetry loads its exporter meanwhile. */
const QUIET_MS = 2_000

const PATIENT = JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' })
const resource = { type: 'patient', operation: 'create' }
const RECORD = JSON.stringify({ sourceSystemName: 'bench', resource })

type Start = () => ReturnType<typeof startTimed>

/**
 * Measures cold starts, of bundles with a compile cache: of the whole chain through the gateway with both
 * services scaled to zero; and in turns of each service with its keys from the vault, of audit with its keys
 * as settings, with and without telemetry, and of a minimal Fastify service with a database.
 */
export async function coldStart () {
  const dir = mkdtempSync(join(tmpdir(), 'bundle-'))
  await bundle(dir, 'patient', 'audit', 'bare')
  const sink = await startSink()
  const env = { BUNDLE_DIR: dir, IDLE_SECONDS: String(IDLE_SECONDS), NODE_COMPILE_CACHE: join(dir, 'cache') }
  const system = await startSystem({ args: ['--scale-to-zero'], env: { ...env, LOG_LEVEL: 'warn' } })
  try {
    const starts = startsOf(dir, system, sink.settings)
    const names = Object.keys(starts)
    const empty = () => Object.fromEntries(names.map((name) => [name, [] as number[]]))
    const [ms, memory, chain] = [empty(), empty(), [] as number[]]
    // The first round fills the cache
    for (let round = -1; round < ROUNDS; round++) {
      for (const name of round % 2 ? names : names.toReversed()) {
        const started = await starts[name]!()
        await sleep(QUIET_MS)
        if (round >= 0) {
          ms[name]!.push(started.ms)
          memory[name]!.push(started.memory())
        }
        await started.stop()
      }
      const first = await firstResponse(system)
      if (round >= 0) chain.push(first)
    }
    report(ms, memory, chain)
  } finally {
    await system.stop()
    await sink.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

function startsOf (dir: string, { run, keys }: System, telemetry: NodeJS.ProcessEnv): Record<string, Start> {
  // The ingress of each service has its settings and its identity
  const settings = { patient: environmentOf(run.patient.pid!), audit: environmentOf(run.audit.pid!) }
  const database = { MONGODB_URI: run.audit.connection, DATABASE_NAME: run.audit.database }
  const given = {
    ALLOWED_CALLERS: '127.0.0.1/32',
    AUDIT_HOST_KEY: keys['audit-host-key'],
    AUDIT_DB_CONNECTION: run.audit.connection,
    DATABASE_NAME: run.audit.database
  }
  const common = { 'content-type': 'application/json', 'x-forwarded-for': '127.0.0.1' }
  const post = (path: string, key: string, body: string): FirstCall => {
    const headers = { ...common, 'x-functions-key': key }
    return { method: 'POST', path, body, headers, expected: 201 }
  }
  const audit = post('/audit', keys['audit-host-key'], RECORD)
  const patient = post('/patient', keys['patient-host-key'], PATIENT)
  return {
    bare: () => startTimed(dir, 'bare', database, audit),
    'audit-keys-given': () => startTimed(dir, 'audit', given, audit),
    'audit-keys-given-telemetry': () => startTimed(dir, 'audit', { ...given, ...telemetry }, audit),
    audit: () => startTimed(dir, 'audit', settings.audit, audit),
    async patient () {
      // Audit runs already, so that only the start of patient is measured
      const { body } = await request(`${run.audit.url}/health/ready`)
      await body.dump()
      return startTimed(dir, 'patient', settings.patient, patient)
    }
  }
}

function report (ms: Record<string, number[]>, memory: Record<string, number[]>, chain: number[]) {
  for (const name of Object.keys(ms)) {
    figure(`start-${name}-ms`, median(ms[name]!))
    figure(`idle-${name}-bytes`, median(memory[name]!))
  }
  figure('cold-start-chain-ms', median(chain))
  const slower = Math.max(median(ms.patient!), median(ms.audit!))
  figure('cold-start-chain-to-slower-service', median(chain) / slower)
  const toBare = (values: Record<string, number[]>, name: string) =>
    median(values[name]!.map((value, i) => value / values.bare![i]!))
  for (const name of Object.keys(ms).filter((name) => name !== 'bare')) {
    figure(`start-${name}-to-bare`, toBare(ms, name))
    figure(`idle-${name}-to-bare`, toBare(memory, name))
  }
}

/** The ms of the first request through the gateway, from when both services are scaled to zero. */
async function firstResponse ({ run: { patient, audit }, baseUrl, subscriptionKey }: System) {
  while (childrenOf(patient.pid!) + childrenOf(audit.pid!) !== '') await sleep(50)
  const began = performance.now()
  const headers = { 'ocp-apim-subscription-key': subscriptionKey }
  const { statusCode, body } = await request(`${baseUrl}/patient`, { method: 'POST', headers, body: PATIENT })
  await body.dump()
  if (statusCode !== 201) throw new Error(`the first response had status ${statusCode}`)
  return performance.now() - began
}

const childrenOf = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')

function environmentOf (pid: number): NodeJS.ProcessEnv {
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
  return Object.fromEntries(variables.map((variable) => {
    const [name, ...value] = variable.split('=')
    return [name, value.join('=')]
  }))
}
