import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { MongoClient } from 'mongodb'
import { storedPatient, type StoredPatient } from '../patient/repositories/patients.ts'
import { KeyMaker } from '../patient/search/keys.ts'
import { ours, type Contender } from './contenders.ts'
import { atMost, figure, type Target } from './figures.ts'
import { Clients, type Operation } from './operations.ts'
import { bar, draw } from './plot.ts'

const SIZES = [1_000, 10_000, 100_000, 1_000_000]
/** The size that the others are compared with. */
const REFERENCE = 10_000
const ROUNDS = 5
const ROUND_MS = 1_500
const WARM_MS = 3_000
const CLIENTS = 16
const BATCH = 2_000
const keys = new KeyMaker('GB')
const GENDERS = ['male', 'female', 'other', 'unknown'] as const

const OPERATIONS: Operation[] = ['create', 'load', 'update', 'search', 'create-test']
/** Of the largest size. */
const TARGETS: Partial<Record<Operation, Target>> = {
  create: atMost(1.1),
  load: atMost(1.1),
  search: atMost(1.5)
}

/** Measures operations, memory and open cursors by the number of stored patients, with a system for each. */
export async function growth (sizes = SIZES) {
  const systems: Contender[] = []
  const clients: Clients[] = []
  try {
    for (const size of sizes) {
      const system = await ours({ LOG_LEVEL: 'warn' })
      systems.push(system)
      clients.push(new Clients(system, await store(system, size)))
    }
    const before = await Promise.all(systems.map(usage))
    const groups = []
    for (const operation of OPERATIONS) {
      const ratios = await compare(operation, sizes, clients)
      for (const [i, size] of sizes.entries()) {
        const target = size === SIZES.at(-1) ? TARGETS[operation] : undefined
        figure(`growth-${operation}-${size}-to-${REFERENCE}`, ratios[i]!, target)
      }
      const bars = sizes.map((size, i) => bar(size.toLocaleString('en'), ratios[i]!))
      groups.push({ name: operation, bars })
    }
    const after = await Promise.all(systems.map(usage))
    for (const [i, size] of sizes.entries()) {
      const { memory, cursors } = after[i]!
      for (const [name, mib] of Object.entries(memory)) figure(`growth-${size}-memory-${name}-mib`, mib)
      figure(`growth-${size}-cursors-left-open`, cursors - before[i]!.cursors, atMost(0))
    }
    const title = 'Time of an operation by the number of stored patients, 10,000 = 1'
    draw('growth', { title, label: 'times', groups })
  } finally {
    for (const { stop } of systems) await stop()
  }
}

/** The time of an operation with each size, round by round, divided by the time with the reference size. */
async function compare (operation: Operation, sizes: number[], clients: Clients[]) {
  for (const one of clients) await one.run(operation, CLIENTS, WARM_MS)
  const measured: number[][] = sizes.map(() => [])
  for (let round = 0; round < ROUNDS; round++) {
    const order = [...sizes.keys()]
    for (const i of round % 2 ? order.reverse() : order) {
      const { perSecond } = await clients[i]!.run(operation, CLIENTS, ROUND_MS)
      measured[i]!.push(1 / perSecond)
    }
  }
  const reference = measured[Math.max(0, sizes.indexOf(REFERENCE))]!
  return measured.map((rounds) => rounds.map((time, round) => time / reference[round]!))
}

/** Stores patients as the service does, but many with one command, and returns some of their ids. */
async function store ({ databaseConnection }: Contender, size: number) {
  const client = await new MongoClient(databaseConnection!).connect()
  const ids: string[] = []
  try {
    const patients = client.db('patient').collection<StoredPatient>('patients')
    for (let stored = 0; stored < size; stored += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, size - stored) }, (_, i) => patient(stored + i))
      await patients.insertMany(batch, { ordered: false })
      if (ids.length < 10_000) ids.push(...batch.map(({ _id }) => _id))
      else ids[Math.floor(Math.random() * ids.length)] = batch[0]!._id
    }
  } finally {
    await client.close()
  }
  return ids
}

function patient (n: number) {
  const lastName = `Name ${n % 5_003}`
  return storedPatient(keys, randomUUID(), {
    firstName: `First ${n % 997}`,
    lastName,
    fullName: `First ${n % 997} ${lastName}`,
    gender: GENDERS[n % 4]!,
    dateOfBirth: new Date(Date.UTC(1920, 0, 1 + n % 36_000)).toISOString().slice(0, 10),
    postCode: String(1_000 + n % 9_000),
    insuranceNumber: `I-${n}`
  }, randomUUIDv7())
}

/** Open cursors, and the resident memory of each process in MiB. */
async function usage ({ pids, databasePid, databaseConnection }: Contender) {
  const client = await new MongoClient(databaseConnection!).connect()
  try {
    const { metrics } = await client.db('admin').command({ serverStatus: 1 })
    const memory = Object.entries({ ...pids, database: databasePid }).map(([name, pid]) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return [name, Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) / 1_024] as const
    })
    return { cursors: Number(metrics.cursor.open.total), memory: Object.fromEntries(memory) }
  } finally {
    await client.close()
  }
}
