import { request } from 'undici'
import { cpuOf, floor, ours, type Contender } from './contenders.ts'
import { atLeast, atMost, figure, type Target } from './figures.ts'
import { load, type Call, type Load } from './load.ts'
import { bar, draw } from './plot.ts'
import { startSink } from './sink.ts'

const ROUNDS = 11
const ROUND_MS = 700
const WARM_MS = 4_000
const PATIENTS = 1_000
const CLIENTS = [1, 16, 64]

const PATIENT = JSON.stringify({
  firstName: 'Ada',
  lastName: 'Lovelace',
  fullName: 'Ada Lovelace',
  gender: 'female',
  dateOfBirth: '1915-12-10',
  postCode: 'W1S4',
  insuranceNumber: '98-765-43',
  preferredContactNumber: '+44 20 7946 0000'
})
const issued = '2026-11-26T08:00:00Z'
const observation = { measurement: '5.1', interpretation: 'normal', issued, status: 'final' }
const TEST = JSON.stringify({
  performer: 'Laboratory',
  orderReference: 'order-1',
  observations: ['glucose', 'sodium', 'potassium'].map((code) => ({ id: code, code, ...observation }))
})

const operations = {
  create: () => ({ method: 'POST', path: '/patient', body: PATIENT, expected: 201 }),
  load: (id) => ({ method: 'GET', path: `/patient/${id}`, expected: 200 }),
  update: (id) => ({ method: 'PUT', path: `/patient/${id}`, body: PATIENT, expected: 200 }),
  search: () => ({ method: 'POST', path: '/patient/search', body: '{}', expected: 200 }),
  'create-test': (id) => ({ method: 'POST', path: `/patient/${id}/tests`, body: TEST, expected: 201 })
} satisfies Record<string, (id: string) => Call>

export type Operation = keyof typeof operations

/** Clients of one system. */
export class Clients {
  #contender: Contender
  #ids: string[]

  /** @param ids of patients that are stored already */
  constructor (contender: Contender, ids: string[] = []) {
    this.#contender = contender
    this.#ids = ids
  }

  /** Stores patients until there are `count`, for the operations that need one. */
  async fill (count: number) {
    const { baseUrl, headers } = this.#contender
    await Promise.all(Array.from({ length: 16 }, async () => {
      while (this.#ids.length < count) {
        const response = await request(`${baseUrl}/patient`, { method: 'POST', headers, body: PATIENT })
        this.#ids.push((await response.body.json() as { id: string }).id)
      }
    }))
  }

  run (operation: Operation, clients: number, ms: number) {
    const anyId = () => this.#ids[Math.floor(Math.random() * this.#ids.length)]!
    return load(this.#contender, clients, ms, () => operations[operation](anyId()))
  }
}

/** `cpu` is in µs a request, over gateway, patient and audit. */
type Measured = Load & { cpu: number }
type Value = 'perSecond' | 'p50' | 'p99' | 'cpu'

/** The rounds of every contender for one operation and number of clients. */
interface Result {
  operation: Operation
  clients: number
  measured: Record<string, Measured[]>
}

interface Running {
  contender: Contender
  clients: Clients
}

/**
 * Measures throughput, latency and CPU of each operation beside the baseline, all contenders in turn. With
 * `short`, one short round, which finds errors and gives no figures worth keeping.
 */
export async function operationCosts ({ short = false } = {}) {
  const sink = await startSink()
  const running: Record<string, Running> = {}
  const add = async (name: string, contender: Contender) => {
    running[name] = { contender, clients: new Clients(contender) }
    await running[name].clients.fill(short ? 150 : PATIENTS)
  }
  try {
    await add('floor', await floor())
    await add('ours', await ours())
    await add('ours-with-telemetry', await ours({ ...sink.settings, TELEMETRY_SAMPLING: '1' }))
    await add('sample-like', await floor(true))

    const results: Result[] = []
    for (const operation of Object.keys(operations) as Operation[]) {
      if (!short) for (const { clients } of Object.values(running)) await clients.run(operation, 16, WARM_MS)
      for (const clients of CLIENTS) {
        const measure = (one: Running) => measureRound(one, operation, clients, short ? 200 : ROUND_MS)
        const result = { operation, clients, measured: await inTurns(running, short ? 1 : ROUNDS, measure) }
        results.push(result)
        report(result)
      }
    }
    if (!short) drawAll(results)
  } finally {
    for (const { contender } of Object.values(running)) await contender.stop()
    await sink.stop()
  }
}

type Measure = (one: Running) => Promise<Measured>

async function inTurns (running: Record<string, Running>, rounds: number, measure: Measure) {
  const names = Object.keys(running)
  const measured: Record<string, Measured[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 ? names.toReversed() : names
    for (const name of order) measured[name]!.push(await measure(running[name]!))
  }
  return measured
}

async function measureRound (running: Running, operation: Operation, count: number, ms: number) {
  const { contender, clients } = running
  const used = () => Object.values(contender.pids).map(cpuOf).reduce((a, b) => a + b)
  const before = used()
  const measured = await clients.run(operation, count, ms)
  return { ...measured, cpu: (used() - before) / measured.count }
}

/** The targets of ours beside the baseline. An update has none: the baseline does no conditional write. */
function targets (operation: Operation, clients: number): Partial<Record<Value, Target>> {
  if (operation === 'update') return {}
  return {
    cpu: clients === 16 ? atMost(1.25) : undefined,
    perSecond: clients === 64 ? atLeast(0.85) : undefined,
    p50: clients === 1 ? atMost(1.3) : undefined,
    p99: clients === 16 ? atMost(1.5) : undefined
  }
}

const LABELS: Record<Value, string> = { perSecond: 'per-second', p50: 'p50-ms', p99: 'p99-ms', cpu: 'cpu-us' }

function report ({ operation, clients, measured: { floor, ...others } }: Result) {
  for (const [value, label] of Object.entries(LABELS) as Array<[Value, string]>) {
    const name = `${operation}-at-${clients}-${label}`
    figure(`${name}-floor`, floor!.map((round) => round[value]))
    for (const [contender, rounds] of Object.entries(others)) {
      const target = contender === 'ours' ? targets(operation, clients)[value] : undefined
      figure(`${name}-${contender}-to-floor`, ratios(rounds, floor!, value), target)
    }
  }
}

const ratios = (rounds: Measured[], floor: Measured[], value: Value) =>
  rounds.map((round, i) => round[value] / floor[i]![value])

function drawAll (results: Result[]) {
  const barsOf = (measured: Result['measured'], value: Value) =>
    Object.entries(measured).map(([name, rounds]) => bar(name, ratios(rounds, measured.floor!, value)))
  const groups = (count: number, value: Value) => results.filter(({ clients }) => clients === count)
    .map(({ operation, measured }) => ({ name: operation, bars: barsOf(measured, value) }))
  const cpu = 'CPU of a request over gateway, patient and audit, 16 clients, floor = 1'
  draw('cpu', { title: cpu, label: 'times', bound: 1.25, groups: groups(16, 'cpu') })
  const throughput = 'Requests a second, 64 clients, floor = 1'
  draw('throughput', { title: throughput, label: 'times', bound: 0.85, groups: groups(64, 'perSecond') })
}
