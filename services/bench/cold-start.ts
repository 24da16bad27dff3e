import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { startSystem, type System } from '../test/system.ts'
import { atMost, figure, median } from './figures.ts'
import { bundle, startTimed, type Call } from './timed.ts'

const ROUNDS = 11
const IDLE_SECONDS = 3
/** How long a process is left alone before its memory is read. */
const QUIET_MS = 2_000

const PATIENT = JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1815', postCode: 'W1S4' })
const RECORD = JSON.stringify({ sourceSystemName: 'bench', resource: { type: 'patient', operation: 'create' } })

/**
 * A start from zero to the first answer: through the gateway, with patient and audit both at zero; of each service by
 * itself, with its keys from the vault; and of the least Fastify service with a database, in turns. All run as bundles,
 * with what they compiled before.
 */
export async function coldStart () {
  const dir = mkdtempSync(join(tmpdir(), 'bundle-'))
  await bundle(dir, 'patient', 'audit', 'bare')
  const system = await startSystem({
    args: ['--scale-to-zero'],
    env: { BUNDLE_DIR: dir, IDLE_SECONDS: String(IDLE_SECONDS), NODE_COMPILE_CACHE: join(dir, 'cache'), LOG_LEVEL: 'warn' }
  })
  try {
    const { run, keys } = system
    // What a service is told by its ingress: it has the settings and the identity
    const settings = { patient: environmentOf(run.patient.pid!), audit: environmentOf(run.audit.pid!) }
    const { MONGODB_URI, DATABASE_NAME } = { MONGODB_URI: run.audit.connection, DATABASE_NAME: run.audit.database }
    const post = (path: string, key: string, body: string): Call => ({
      method: 'POST', path, body, headers: { 'content-type': 'application/json', 'x-functions-key': key, 'x-forwarded-for': '127.0.0.1' }, expected: 201
    })
    const contenders = {
      bare: () => startTimed(dir, 'bare', { MONGODB_URI, DATABASE_NAME }, post('/audit', 'none', RECORD)),
      'audit-keys-given': () => startTimed(dir, 'audit', {
        ALLOWED_CALLERS: '127.0.0.1/32', AUDIT_HOST_KEY: keys['audit-host-key'], AUDIT_DB_CONNECTION: MONGODB_URI, DATABASE_NAME
      }, post('/audit', keys['audit-host-key'], RECORD)),
      audit: () => startTimed(dir, 'audit', settings.audit, post('/audit', keys['audit-host-key'], RECORD)),
      async patient () {
        // It waits for no start but its own
        const { body } = await request(`${run.audit.url}/health/ready`)
        await body.dump()
        return startTimed(dir, 'patient', settings.patient, post('/patient', keys['patient-host-key'], PATIENT))
      }
    }
    const names = Object.keys(contenders) as Array<keyof typeof contenders>
    const starts = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<keyof typeof contenders, number[]>
    const memory = structuredClone(starts)
    const chain: number[] = []

    // The first fills the cache
    for (let round = -1; round < ROUNDS; round++) {
      for (const name of round % 2 ? names : names.toReversed()) {
        const started = await contenders[name]()
        await sleep(QUIET_MS)
        if (round >= 0) {
          starts[name].push(started.ms)
          memory[name].push(started.memory())
        }
        await started.stop()
      }
      const ms = await firstAnswer(system)
      if (round >= 0) chain.push(ms)
    }

    for (const name of names) {
      figure(`start-${name}-ms`, median(starts[name]))
      figure(`idle-${name}-bytes`, median(memory[name]))
    }
    figure('cold-start-chain-ms', median(chain))
    const slower = median(starts.patient) > median(starts.audit) ? starts.patient : starts.audit
    figure('cold-start-chain-to-slower-service', median(chain) / median(slower), atMost(1.3))
    const toBare = (values: typeof starts, name: keyof typeof contenders) => median(values[name].map((value, i) => value / values.bare[i]!))
    for (const name of names.filter((name) => name !== 'bare')) {
      figure(`start-${name}-to-bare`, toBare(starts, name), atMost(1.6))
      figure(`idle-${name}-to-bare`, toBare(memory, name), atMost(1.3))
    }
  } finally {
    await system.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** How long the first request through the gateway takes, from when both services are at zero. */
async function firstAnswer (system: System) {
  const { patient, audit } = system.run
  while (startedBy(patient.pid!) + startedBy(audit.pid!) !== '') await sleep(50)
  const began = performance.now()
  const { statusCode, body } = await request(`${system.baseUrl}/patient`, { method: 'POST', headers: { 'ocp-apim-subscription-key': system.subscriptionKey }, body: PATIENT })
  await body.dump()
  if (statusCode !== 201) throw new Error(`the first request was answered ${statusCode}`)
  return performance.now() - began
}

const startedBy = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')

function environmentOf (pid: number): NodeJS.ProcessEnv {
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
  return Object.fromEntries(variables.map((variable) => [variable.slice(0, variable.indexOf('=')), variable.slice(variable.indexOf('=') + 1)]))
}
