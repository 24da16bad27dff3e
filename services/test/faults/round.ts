import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { Pool } from 'undici'
import manifest from '../../../package.json' with { type: 'json' }
import { makeLocalDir } from '../system.ts'
import { brokenPromises, readStored, remarks } from './checks.ts'
import { Client, Journal } from './clients.ts'
import { faketime } from './clock.ts'
import { drawSchedule, PROCESSES, steppedClocks, type Fault, type ServiceName } from './schedule.ts'
import { FaultySystem } from './system.ts'

// One run with the faults of one seed, in a process of its own:
// SEED=7 FAULT_SECONDS=30 node services/test/faults/round.ts

const CLIENTS = 64
const RECOVERY_MS = 60_000
/** A minute, within which all outcomes are promised, and some time for a busy machine. */
const SETTLED_MS = Number(process.env.FAULT_SETTLED_SECONDS ?? 75) * 1_000
const VERIFY_MS = 60_000
const LISTED = 12
/** What clients send arrives nowhere, and is lost in the end. */
const HELD = { kind: 'half-open', direction: 'requests', half: false, delay: 0, late: false } as const

export interface Result {
  seed: number
  /** Promises that were broken, with ids. */
  findings: string[]
  figures: object
  /** What could not be done here. */
  skipped: string[]
}

const seed = Number(process.env.SEED)
const seconds = Number(process.env.FAULT_SECONDS)
/** Slows all clients, for a machine that has other work. */
const pace = Number(process.env.FAULT_PACE ?? 1)

const schedule = drawSchedule(seed, seconds)
const system = new FaultySystem(makeLocalDir(), steppedClocks(seed))
const skipped = new Set<string>()
// File systems that are mounted would stay
process.once('SIGTERM', () => system.stop().finally(() => process.exit(1)))
const notes: string[] = []

try {
  await system.start()
  const result = await run()
  if (process.send) {
    process.send(result)
    await once(process, 'message')
  } else {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  }
} finally {
  await system.stop()
}
process.exit()

async function run (): Promise<Result> {
  const journal = new Journal()
  const key = system.subscriptionKey
  const pool = new Pool(system.baseUrl, { connections: CLIENTS, headersTimeout: 0, bodyTimeout: 0 })
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    new Client(i, seed, pool, key, journal, pace))
  const load = { over: false }
  const running = Promise.all(clients.map((client) => client.run(() => load.over)))
  await inject()
  system.heal()
  load.over = true
  await running
  const another = new Client(CLIENTS, seed, pool, key, journal, pace)
  const isUp = await system.recovered(RECOVERY_MS) && await works(another)
  const findings = isUp ? [] : ['the system has not recovered']
  await pool.destroy()
  const healed = performance.now()
  const { broken, figures } = await settled(journal)
  notes.push(`settled ${Math.round(performance.now() - healed)} ms after the recovery`)
  findings.push(...broken, ...await verify())
  const answers = Object.fromEntries([...journal.statuses].sort())
  const counts = { ...figures, disclosures: journal.disclosed.length, ends: system.ends, notes, answers }
  return { seed, findings: shortened(findings), figures: counts, skipped: [...skipped] }
}

/** Whether a client can create a patient again, within a minute. */
async function works (client: Client) {
  const deadline = performance.now() + RECOVERY_MS
  while (!await client.create()) {
    if (performance.now() > deadline) return false
    await sleep(500)
  }
  return true
}

/** Injects the faults of the schedule at their times. */
async function inject () {
  const began = performance.now()
  const ending: Array<Promise<unknown>> = []
  for (const fault of schedule) {
    await sleep(Math.max(0, began + fault.at - performance.now()))
    ending.push(begin(fault).catch((error) => { notes.push(`${fault.kind}: ${error.message}`) }))
  }
  await sleep(Math.max(0, began + seconds * 1_000 - performance.now()))
  // The rest of what lasts longer ends now
  system.heal()
  await Promise.all(ending)
}

async function begin (fault: Fault) {
  switch (fault.kind) {
    case 'kill': return signal(system.pid(fault.process), 'SIGKILL')
    case 'kill all': return killAll(fault.service)
    case 'lost store': {
      const link = `${fault.service} to its database` as const
      const end = system.links.get(link)!.fail({ ...HELD, link })
      await sleep(fault.ms)
      killAll(fault.service)
      return end()
    }
    case 'fence': return await system.endChains()
    case 'stop': {
      const pid = system.pid(fault.process)
      signal(pid, 'SIGSTOP')
      await sleep(fault.ms)
      return signal(pid, 'SIGCONT')
    }
    case 'disk full': {
      const disk = system.disks.get(fault.disk)
      if (!disk) return skipped.add('full disks, as no file system can be mounted')
      disk.fill()
      await sleep(fault.ms)
      return disk.free()
    }
    case 'clock': {
      if (!faketime) return skipped.add('changed clocks, as libfaketime is not installed')
      return system.clocks.get(fault.process)!.set(fault.seconds)
    }
    case 'rotate': {
      const failure = await system.rotate(fault.secrets)
      return failure && notes.push(failure.slice(0, 300))
    }
    default: {
      const link = system.links.get(fault.link)!
      const end = link.fail(fault)
      await sleep(fault.ms)
      return end()
    }
  }
}

function killAll (service: ServiceName) {
  for (const name of PROCESSES) if (name.match(`^${service} \\d`)) signal(system.pid(name), 'SIGKILL')
}

function signal (pid: number | undefined, name: NodeJS.Signals) {
  try {
    if (pid) process.kill(pid, name)
  } catch {
    // It has ended
  }
}

/** The promises that are still broken when a minute is over, or none as soon as none is. */
async function settled (journal: Journal) {
  const stepped = schedule.some(({ kind }) => kind === 'clock')
  const [patient, audit] = await Promise.all((['patient', 'audit'] as const).map(async (service) => {
    const client = await new MongoClient(system.connection(service)).connect()
    return { client, db: client.db(system.databaseName(service)) }
  })) as [Opened, Opened]
  const deadline = performance.now() + SETTLED_MS
  for (;;) {
    const stored = await readStored(patient.db, audit.db)
    const broken = brokenPromises(stored, journal, stepped)
    if (broken.length === 0 || performance.now() > deadline) {
      await Promise.all([patient.client.close(), audit.client.close()])
      return { broken, figures: remarks(stored) }
    }
    await sleep(2_000)
  }
}

interface Opened {
  client: MongoClient
  db: ReturnType<MongoClient['db']>
}

/** (d) What the command that verifies the register finds, where there is one. */
async function verify () {
  const scripts: Record<string, string> = manifest.scripts
  const [, file] = /^node services\/cli\/(\S+)/.exec(scripts['register:verify'] ?? '') ?? []
  if (!file) return []
  const failure = await system.command(file, [], {}, VERIFY_MS)
  return failure ? [`(d) ${failure.slice(-4_000)}`] : []
}

/** The first of each kind, and the number of all. */
function shortened (findings: string[]) {
  return [...Map.groupBy(findings, (finding) => finding.slice(0, 3)).values()].flatMap((group) => {
    const more = group.length - LISTED
    return more > 0 ? [...group.slice(0, LISTED), `${group[0]!.slice(0, 3)} and ${more} more`] : group
  })
}
