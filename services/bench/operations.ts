import { request } from 'undici'
import { cpuOf, floor, ours, type Contender } from './contenders.ts'
import { atLeast, atMost, figure, inTurns, ratios, type Target } from './figures.ts'
import { load, type Call } from './load.ts'
import { draw } from './plot.ts'
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
export const OPERATIONS = Object.keys(operations) as Operation[]

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

  /** Runs an operation for `ms`. The result includes the CPU time of a request, in µs. */
  run (operation: Operation, clients: number, ms: number) {
    const anyId = () => this.#ids[Math.floor(Math.random() * this.#ids.length)]!
    return this.repeat(() => operations[operation](anyId()), clients, ms)
  }

  /** Repeats calls as `run` does. */
  async repeat (call: () => Call, clients: number, ms: number) {
    const used = () => this.#contender.pids.map(cpuOf).reduce((a, b) => a + b)
    const before = used()
    const measured = await load(this.#contender, clients, ms, call)
    return { ...measured, cpu: (used() - before) / measured.count }
  }
}

const LABELS = { perSecond: 'per-second', p50: 'p50-ms', p99: 'p99-ms', cpu: 'cpu-us' }
type Value = keyof typeof LABELS

/** The rounds of every contender for one operation and number of clients. */
interface Result {
  operation: Operation
  clients: number
  measured: Record<string, Array<Record<Value, number>>>
}

/**
 * Measures throughput, latency and CPU of each operation beside the baseline, all contenders in turn. With
 * `short`, one short round, which finds errors and gives no figures worth keeping.
 */
export async function operationCosts ({ short = false } = {}) {
  const sink = await startSink()
  const contenders: Contender[] = []
  const clients: Record<string, Clients> = {}
  const add = async (name: string, contender: Contender) => {
    contenders.push(contender)
    clients[name] = new Clients(contender)
    await clients[name].fill(short ? 150 : PATIENTS)
  }
  try {
    await add('floor', await floor())
    await add('ours', await ours())
    await add('ours-with-telemetry', await ours({ ...sink.settings, TELEMETRY_SAMPLING: '1' }))
    await add('sample-like', await floor(true))

    const results: Result[] = []
    for (const operation of OPERATIONS) {
      if (!short) for (const one of Object.values(clients)) await one.run(operation, 16, WARM_MS)
      for (const count of CLIENTS) {
        const measure = (name: string) => clients[name]!.run(operation, count, short ? 200 : ROUND_MS)
        const measured = await inTurns(Object.keys(clients), short ? 1 : ROUNDS, measure)
        const result = { operation, clients: count, measured }
        results.push(result)
        report(result)
      }
    }
    if (!short) drawAll(results)
  } finally {
    for (const { stop } of contenders) await stop()
    await sink.stop()
  }
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

function report ({ operation, clients, measured }: Result) {
  for (const [value, label] of Object.entries(LABELS) as Array<[Value, string]>) {
    const name = `${operation}-at-${clients}-${label}`
    figure(`${name}-floor`, measured.floor!.map((round) => round[value]))
    const { floor, ...others } = toFloor(measured, value)
    for (const [contender, rounds] of Object.entries(others)) {
      const target = contender === 'ours' ? targets(operation, clients)[value] : undefined
      figure(`${name}-${contender}-to-floor`, rounds, target)
    }
  }
}

/** The ratios of each contender to the baseline, round by round. */
function toFloor (measured: Result['measured'], value: Value) {
  const valuesOf = (name: string) => measured[name]!.map((round) => round[value])
  const floor = valuesOf('floor')
  return Object.fromEntries(Object.keys(measured).map((name) => [name, ratios(valuesOf(name), floor)]))
}

function drawAll (results: Result[]) {
  const groups = (count: number, value: Value) => results.filter(({ clients }) => clients === count)
    .map(({ operation, measured }) => ({ name: operation, bars: toFloor(measured, value) }))
  const cpu = 'CPU time of a request over gateway, patient and audit, 16 clients, baseline = 1'
  draw('cpu', cpu, groups(16, 'cpu'), 1.25)
  draw('throughput', 'Requests a second, 64 clients, baseline = 1', groups(64, 'perSecond'), 0.85)
}
