import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { accepts, freePorts } from '../emulators/processes/probes.ts'
import { startSystem } from '../test/system.ts'
import type { Target } from './load.ts'

const ORPHAN = import.meta.resolve('../emulators/processes/orphan.ts')
/** The unit of CPU times in /proc/PID/stat is a hundredth of a second on every Linux. */
const TICK_US = 10_000

/** A running system that is measured through its gateway. */
export interface Contender extends Target {
  /** Its audit service, without gateway and patient. */
  register: Target
  pids: { gateway: number, patient: number, audit: number }
  databasePid: number
  /** An administrator's connection string, for both databases. */
  databaseConnection?: string
  stop: () => Promise<unknown>
}

/** Our system, as `npm start` runs it. */
export async function ours (env: NodeJS.ProcessEnv = {}): Promise<Contender> {
  const system = await startSystem({ env: { MONITOR: 'off', ...env }, quiet: true })
  const { baseUrl, subscriptionKey, keys, run, stop } = system
  const { gateway, patient, audit, database } = run
  return {
    baseUrl,
    headers: { 'ocp-apim-subscription-key': subscriptionKey },
    register: { baseUrl: audit.url, headers: { 'x-functions-key': keys['audit-host-key'] } },
    pids: { gateway: gateway.pid!, patient: patient.pid!, audit: audit.pid! },
    databasePid: database!.pid!,
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
  const processes = new Processes()
  const stop = async () => {
    await processes.stop()
    rmSync(dir, { recursive: true, force: true })
  }
  const ports = await freePorts(4) as [number, number, number, number]
  const [gateway, patient, audit, database] = ports.map((port) => `127.0.0.1:${port}`)
  const services = { CONNECTION: `mongodb://${database}/`, ...(perCall && { PER_CALL: '1' }) }
  const patientSettings = { ...services, AUDIT_URL: `http://${audit}` }
  try {
    const databaseSettings = { DATA_DIR: dir, AUTHORIZATION: 'disabled' }
    const databasePid = await processes.start('../emulators/mongodb/main.ts', ports[3], databaseSettings)
    const pids = {
      audit: await processes.start('./floor/audit.ts', ports[2], services),
      patient: await processes.start('./floor/patient.ts', ports[1], patientSettings),
      gateway: await processes.start('./floor/gateway.ts', ports[0], { PATIENT_URL: `http://${patient}` })
    }
    const register = { baseUrl: `http://${audit}`, headers: {} }
    return { baseUrl: `http://${gateway}`, headers: {}, register, pids, databasePid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

class Processes {
  #children: Array<ReturnType<typeof spawn>> = []

  /** Starts a module, waits until it listens on `port`, and returns its pid. */
  async start (module: string, port: number, settings: NodeJS.ProcessEnv) {
    const path = fileURLToPath(new URL(module, import.meta.url))
    const child = spawn(process.execPath, ['--import', ORPHAN, path], {
      env: { PATH: process.env.PATH, PORT: String(port), LOG_LEVEL: 'warn', ...settings },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    this.#children.push(child)
    while (!await accepts(port)) {
      if (child.exitCode !== null) throw new Error(`${module} ended with exit code ${child.exitCode}`)
      await sleep(20)
    }
    return child.pid!
  }

  async stop () {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
  }
}

/** The CPU time of a process so far, in µs. */
export function cpuOf (pid: number) {
  // The fields after the name, which may contain blanks and parentheses
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}
