import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../emulators/processes/child.ts'
import { accepts, freePorts } from '../emulators/processes/probes.ts'
import { startSystem } from '../test/system.ts'
import type { Target } from './load.ts'

/** The unit of CPU times in /proc/PID/stat is a hundredth of a second on every Linux. */
const TICK_US = 10_000
const START_MS = 30_000
const STOP_MS = 5_000

/** A running system that is measured through its gateway. */
export interface Contender extends Target {
  /** Its audit service, without gateway and patient. */
  register: Target
  /** The processes of gateway, patient and audit. */
  pids: number[]
  /** An administrator's connection string, for both databases. */
  databaseConnection?: string
  stop: () => Promise<unknown>
}

/** Our system, as `npm start` runs it. */
export async function ours (env: NodeJS.ProcessEnv = {}): Promise<Contender> {
  const system = await startSystem({ env: { MONITOR: 'off', ...env }, quiet: true })
  const { baseUrl, subscriptionKey, keys, run: { gateway, patient, audit }, stop } = system
  return {
    baseUrl,
    headers: { 'ocp-apim-subscription-key': subscriptionKey },
    register: { baseUrl: audit.url, headers: { 'x-functions-key': keys['audit-host-key'] } },
    pids: [gateway.pid!, patient.pid!, audit.pid!],
    databaseConnection: patient.connection,
    stop
  }
}

/**
 * The baseline: three minimal Fastify processes without validation, authentication or auditing, with a
 * database of their own. With `perCall` each request opens its own connections, as in the published sample.
 */
export async function floor (perCall = false): Promise<Contender> {
  const dir = mkdtempSync(join(tmpdir(), 'floor-'))
  const children: Child[] = []
  const stop = async () => {
    for (const child of children.toReversed()) await child.stop(Date.now() + STOP_MS)
    rmSync(dir, { recursive: true, force: true })
  }
  const output = { say: (line: string) => process.stderr.write(`${line}\n`) }
  /** Starts a module, waits until it listens, and returns its address. */
  const start = async (module: string, settings: NodeJS.ProcessEnv) => {
    const [port] = await freePorts() as [number]
    const env = { PATH: process.env.PATH, PORT: String(port), LOG_LEVEL: 'warn', ...settings }
    const child = new Child(module, new URL(module, import.meta.url), env, output, () => {})
    children.push(child)
    child.start()
    await child.ready(() => accepts(port), Date.now() + START_MS)
    return `127.0.0.1:${port}`
  }
  try {
    const database = await start('../emulators/mongodb/main.ts', { DATA_DIR: dir, AUTHORIZATION: 'disabled' })
    const settings = { CONNECTION: `mongodb://${database}/`, ...(perCall && { PER_CALL: '1' }) }
    const audit = await start('./floor/audit.ts', settings)
    const patient = await start('./floor/patient.ts', { ...settings, AUDIT_URL: `http://${audit}` })
    const gateway = await start('./floor/gateway.ts', { PATIENT_URL: `http://${patient}` })
    const register = { baseUrl: `http://${audit}`, headers: {} }
    const pids = children.slice(1).map(({ pid }) => pid!)
    return { baseUrl: `http://${gateway}`, headers: {}, register, pids, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The CPU time of a process so far, in µs. */
export function cpuOf (pid: number) {
  // The fields after the name, which may contain blanks and parentheses
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}
