import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { accepts, freePorts } from '../emulators/processes/probes.ts'
import { startSystem } from '../test/system.ts'

const ORPHAN = import.meta.resolve('../emulators/processes/orphan.ts')
/** The field of /proc/PID/stat counts in hundredths of a second, on every Linux. */
const TICK_US = 10_000

/** A system that is measured: where it takes calls, and what its gateway, patient and audit have used. */
export interface Contender {
  baseUrl: string
  headers: Record<string, string>
  /** Its register alone. */
  register: { baseUrl: string, headers: Record<string, string> }
  pids: { gateway: number, patient: number, audit: number }
  database: number
  /** Opens both of its databases. */
  databaseConnection?: string
  stop: () => Promise<unknown>
}

/** Our system, as `npm start` runs it. */
export async function ours (env: NodeJS.ProcessEnv = {}): Promise<Contender> {
  const { baseUrl, subscriptionKey, keys, run: { gateway, patient, audit, database }, stop } = await startSystem({ env: { MONITOR: 'off', ...env }, quiet: true })
  return {
    baseUrl,
    headers: { 'ocp-apim-subscription-key': subscriptionKey },
    register: { baseUrl: audit.url, headers: { 'x-functions-key': keys['audit-host-key'] } },
    pids: { gateway: gateway.pid!, patient: patient.pid!, audit: audit.pid! },
    database: database!.pid!,
    databaseConnection: patient.connection,
    stop
  }
}

/** The same topology in the least code, over a database of its own; with `perCall` in the way of the published sample. */
export async function floor (perCall = false): Promise<Contender> {
  const dir = mkdtempSync(join(tmpdir(), 'floor-'))
  const [gatewayPort, patientPort, auditPort, databasePort] = await freePorts(4) as [number, number, number, number]
  const CONNECTION = `mongodb://127.0.0.1:${databasePort}/`
  const processes: Array<ReturnType<typeof spawn>> = []
  const start = async (module: string, port: number, settings: NodeJS.ProcessEnv) => {
    const child = spawn(process.execPath, ['--import', ORPHAN, fileURLToPath(new URL(module, import.meta.url))], {
      env: { PATH: process.env.PATH, PORT: String(port), LOG_LEVEL: 'warn', ...settings },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    processes.push(child)
    while (!await accepts(port)) {
      if (child.exitCode !== null) throw new Error(`${module} ended with ${child.exitCode}`)
      await sleep(20)
    }
    return child.pid!
  }
  const stop = async () => {
    for (const child of processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
    rmSync(dir, { recursive: true, force: true })
  }

  try {
    const database = await start('../emulators/mongodb/main.ts', databasePort, { DATA_DIR: dir, AUTHORIZATION: 'disabled' })
    const way = { CONNECTION, ...(perCall && { PER_CALL: '1' }) }
    const audit = await start('./floor/audit.ts', auditPort, way)
    const patient = await start('./floor/patient.ts', patientPort, { ...way, AUDIT_URL: `http://127.0.0.1:${auditPort}` })
    const gateway = await start('./floor/gateway.ts', gatewayPort, { PATIENT_URL: `http://127.0.0.1:${patientPort}` })
    return {
      baseUrl: `http://127.0.0.1:${gatewayPort}`,
      headers: {},
      register: { baseUrl: `http://127.0.0.1:${auditPort}`, headers: {} },
      pids: { gateway, patient, audit },
      database,
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What a process has used of the processors so far, in µs. */
export function cpuOf (pid: number) {
  // What stands behind the name, which may hold anything
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}
