import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { startSystem, type System } from '../test/system.ts'
import { figure, inTurns, median, ratios } from './figures.ts'
import { SMALL_PATIENT } from './load.ts'
import { startTimed, type FirstCall } from './timed.ts'

const ROUNDS = 11
const IDLE_SECONDS = 3
/** How long a process is idle before its memory is read; telemetry loads its exporter meanwhile. */
const QUIET_MS = 2_000
const BUNDLE = fileURLToPath(import.meta.resolve('../../docker/bundle.ts'))

const resource = { type: 'patient', operation: 'create' }
const RECORD = JSON.stringify({ sourceSystemName: 'bench', resource })

/**
 * Measures, in turns, cold starts of bundles with a compile cache: a minimal Fastify service with a database,
 * each service with its keys from the vault, and the chain through the gateway with both scaled to zero. With
 * `short`, once, which finds errors.
 */
export async function coldStart ({ short = false } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'bundle-'))
  execFileSync(process.execPath, [BUNDLE, dir, 'patient', 'audit', 'witness', 'bare'], { stdio: 'inherit' })
  const env = { BUNDLE_DIR: dir, IDLE_SECONDS: String(IDLE_SECONDS), NODE_COMPILE_CACHE: join(dir, 'cache') }
  const system = await startSystem({ args: ['--scale-to-zero'], env: { ...env, LOG_LEVEL: 'warn' } })
  try {
    const starts = startsOf(dir, system)
    const measure = async (name: keyof typeof starts | 'chain') => {
      if (name === 'chain') return { ms: await firstResponse(system), memory: 0 }
      const { ms, memory, stop } = await starts[name]()
      await sleep(QUIET_MS)
      const result = { ms, memory: memory() }
      await stop()
      return result
    }
    // The first round fills the cache
    const names = ['bare', 'audit', 'patient', 'chain'] as const
    const { chain, ...services } = await inTurns([...names], short ? 1 : ROUNDS, measure, 1)
    report(services, chain.map(({ ms }) => ms))
  } finally {
    await system.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

function startsOf (dir: string, { run, keys }: System) {
  // The ingress of each service has its settings and its identity
  const [forPatient, forAudit] = [environmentOf(run.patient.pid!), environmentOf(run.audit.pid!)]
  const forBare = { MONGODB_URI: run.audit.connection, DATABASE_NAME: run.audit.database }
  const post = (path: string, key: string, body: string): FirstCall => {
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': '127.0.0.1' }
    return { method: 'POST', path, body, headers: { ...headers, 'x-functions-key': key }, expected: 201 }
  }
  const audit = post('/audit', keys['audit-host-key'], RECORD)
  const patient = post('/patient', keys['patient-host-key'], SMALL_PATIENT)
  return {
    bare: () => startTimed(dir, 'bare', forBare, audit),
    audit: () => startTimed(dir, 'audit', forAudit, audit),
    async patient () {
      // Audit runs already, so that only the start of patient is measured
      const { body } = await request(`${run.audit.url}/health/ready`)
      await body.dump()
      return startTimed(dir, 'patient', forPatient, patient)
    }
  }
}

type Rounds = Array<{ ms: number, memory: number }>

function report (services: Record<'bare' | 'audit' | 'patient', Rounds>, chain: number[]) {
  const ms = (name: keyof typeof services) => services[name].map((round) => round.ms)
  const memory = (name: keyof typeof services) => services[name].map((round) => round.memory)
  for (const name of ['bare', 'audit', 'patient'] as const) {
    figure(`start-${name}-ms`, ms(name))
    figure(`idle-${name}-bytes`, memory(name))
    if (name === 'bare') continue
    figure(`start-${name}-to-bare`, ratios(ms(name), ms('bare')))
    figure(`idle-${name}-to-bare`, ratios(memory(name), memory('bare')))
  }
  figure('cold-start-chain-ms', chain)
  const slower = Math.max(median(ms('patient')), median(ms('audit')))
  figure('cold-start-chain-to-slower-service', median(chain) / slower)
}

/** The ms of the first request through the gateway, from when both services are scaled to zero. */
async function firstResponse ({ run: { patient, audit }, baseUrl, subscriptionKey }: System) {
  while (childrenOf(patient.pid!) + childrenOf(audit.pid!) !== '') await sleep(50)
  const began = performance.now()
  const headers = { 'ocp-apim-subscription-key': subscriptionKey }
  const options = { method: 'POST' as const, headers, body: SMALL_PATIENT }
  const { statusCode, body } = await request(`${baseUrl}/patient`, options)
  const text = await body.text()
  if (statusCode !== 201) throw new Error(`the first response had status ${statusCode}: ${text}`)
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
