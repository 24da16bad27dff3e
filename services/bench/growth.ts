import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { MongoClient } from 'mongodb'
import { storedPatient, type StoredPatient } from '../patient/repositories/patients.ts'
import { KeyMaker } from '../patient/search/keys.ts'
import { ours, type Contender } from './contenders.ts'
import { atMost, figure, inTurns, ratios, type Target } from './figures.ts'
import { Clients, OPERATIONS, type Operation } from './operations.ts'
import { draw } from './plot.ts'

const SIZES = [1_000, 10_000, 100_000, 1_000_000]
/** The size that the others are compared with. */
const REFERENCE = 10_000
const ROUNDS = 5
const ROUND_MS = 1_500
const WARM_MS = 3_000
const CLIENTS = 16
const BATCH = 2_000
const keys = new KeyMaker('GB')
const MRN = 'https://hospital.example.com/mrn'
const GENDERS = ['male', 'female', 'other', 'unknown'] as const

/** Searches that find the patient `n`, or a few more, whatever the number of patients. */
const SEARCHES = {
  'search-surname': (n: number) => ({ lastName: lastNameOf(n).toUpperCase() }),
  'search-prefix': (n: number) => ({ lastNamePrefix: lastNameOf(n).slice(0, -1) }),
  'search-phone': (n: number) => ({ preferredContactNumber: phoneOf(n) }),
  'search-identifier': (n: number) => ({ identifier: { system: MRN, value: String(n) } })
}
type Name = Operation | keyof typeof SEARCHES
const NAMES = [...OPERATIONS, ...Object.keys(SEARCHES)] as Name[]

/** Of the largest size. */
const TARGETS: Partial<Record<Name, Target>> = {
  create: atMost(1.1),
  load: atMost(1.1),
  search: atMost(1.5),
  'search-surname': atMost(1.5),
  'search-prefix': atMost(1.5),
  'search-phone': atMost(1.5),
  'search-identifier': atMost(1.5)
}

/** Measures operations and open cursors by the number of stored patients, with a system for each. */
export async function growth () {
  const systems: Contender[] = []
  const clients: Record<string, Clients> = {}
  try {
    for (const size of SIZES) {
      const system = await ours({ LOG_LEVEL: 'warn' })
      systems.push(system)
      clients[size] = new Clients(system, await store(system, size))
    }
    const before = await Promise.all(systems.map(openCursors))
    const groups = []
    for (const operation of NAMES) {
      const bars = await compare(operation, clients)
      for (const [size, values] of Object.entries(bars)) {
        const target = Number(size) === SIZES.at(-1) ? TARGETS[operation] : undefined
        figure(`growth-${operation}-${size}-to-${REFERENCE}`, values, target)
      }
      groups.push({ name: operation, bars })
    }
    const after = await Promise.all(systems.map(openCursors))
    for (const [i, size] of SIZES.entries()) {
      figure(`growth-${size}-cursors-left-open`, after[i]! - before[i]!, atMost(0))
    }
    draw('growth', 'Time of an operation by the number of stored patients, 10,000 = 1', groups)
  } finally {
    for (const { stop } of systems) await stop()
  }
}

/** The time of an operation with each size, round by round, divided by the time with the reference size. */
async function compare (name: Name, clients: Record<string, Clients>) {
  const run = (size: string, ms: number) => {
    if (!(name in SEARCHES)) return clients[size]!.run(name as Operation, CLIENTS, ms)
    const anyOf = SEARCHES[name as keyof typeof SEARCHES]
    const call = () => {
      const body = JSON.stringify(anyOf(Math.floor(Math.random() * Number(size))))
      return { method: 'POST', path: '/patient/search', body, expected: 200 } as const
    }
    return clients[size]!.repeat(call, CLIENTS, ms)
  }
  for (const size of Object.keys(clients)) await run(size, WARM_MS)
  const measure = async (size: string) => 1 / (await run(size, ROUND_MS)).perSecond
  const measured = await inTurns(Object.keys(clients), ROUNDS, measure)
  const reference = measured[REFERENCE]!
  return Object.fromEntries(Object.entries(measured).map(([size, times]) => [size, ratios(times, reference)]))
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

/** A name of six letters that no other patient has; 26 patients share the first five. */
function lastNameOf (n: number) {
  const letter = (digit: string) => String.fromCharCode(97 + parseInt(digit, 26))
  return `N${n.toString(26).padStart(5, '0').replace(/./g, letter)}`
}

const phoneOf = (n: number) => `+4420${String(n).padStart(8, '0')}`

function patient (n: number) {
  const lastName = lastNameOf(n)
  return storedPatient(keys, randomUUID(), {
    firstName: `First ${n % 997}`,
    lastName,
    fullName: `First ${n % 997} ${lastName}`,
    gender: GENDERS[n % 4]!,
    dateOfBirth: new Date(Date.UTC(1920, 0, 1 + n % 36_000)).toISOString().slice(0, 10),
    postCode: String(1_000 + n % 9_000),
    insuranceNumber: `I-${n}`,
    preferredContactNumber: phoneOf(n),
    identifiers: [{ system: MRN, value: String(n) }]
  }, randomUUIDv7())
}

/** The number of open cursors of the system's databases. */
async function openCursors ({ databaseConnection }: Contender) {
  const client = await new MongoClient(databaseConnection!).connect()
  try {
    const { metrics } = await client.db('admin').command({ serverStatus: 1 })
    return Number(metrics.cursor.open.total)
  } finally {
    await client.close()
  }
}
