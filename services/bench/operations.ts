import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Pool } from 'undici'
import { cpuOf, floor, ours, type Contender } from './contenders.ts'
import { atLeast, atMost, figure, median, quantile, type Target } from './figures.ts'
import { bars } from './plot.ts'

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
  dateOfBirth: '1815-12-10',
  postCode: 'W1S4',
  insuranceNumber: '98-765-43',
  preferredContactNumber: '+44 20 7946 0000'
})
const TEST = JSON.stringify({
  performer: 'Laboratory',
  orderReference: 'order-1',
  observations: ['glucose', 'sodium', 'potassium'].map((code) => ({
    id: code, code, measurement: '5.1', interpretation: 'normal', issued: '2026-11-26T08:00:00Z', status: 'final'
  }))
})

const operations = {
  create: () => ({ method: 'POST', path: '/patient', body: PATIENT, expected: 201 }),
  load: (id: string) => ({ method: 'GET', path: `/patient/${id}`, body: null, expected: 200 }),
  update: (id: string) => ({ method: 'PUT', path: `/patient/${id}`, body: PATIENT, expected: 200 }),
  search: () => ({ method: 'POST', path: '/patient/search', body: '{}', expected: 200 }),
  'create-test': (id: string) => ({ method: 'POST', path: `/patient/${id}/tests`, body: TEST, expected: 201 })
} satisfies Record<string, (id: string) => Call>

interface Call {
  method: 'GET' | 'POST' | 'PUT'
  path: string
  body: string | null
  expected: number
}

export type Operation = keyof typeof operations

/** The ones that are held to targets. */
const HELD: Operation[] = ['create', 'load', 'search', 'create-test']

interface Measured {
  perSecond: number
  /** ms */
  p50: number
  p99: number
  /** µs a request, over gateway, patient and audit */
  cpu: number
}

/** Clients of one system, each of which sends one request after the other. */
export class Clients {
  #pool: Pool
  #headers: Record<string, string>
  #ids: string[]

  /** @param ids of patients that are stored already */
  constructor ({ baseUrl, headers }: Contender, ids: string[] = []) {
    this.#ids = ids
    this.#pool = new Pool(baseUrl, { connections: Math.max(...CLIENTS) })
    this.#headers = headers
  }

  /** Stores `count` patients, which the other operations are done with. */
  async fill (count: number) {
    await Promise.all(Array.from({ length: 16 }, async () => {
      while (this.#ids.length < count) this.#ids.push(JSON.parse(await this.#send(operations.create())).id)
    }))
  }

  /** The ms that each request took, of `clients` for `ms`. */
  async run (operation: Operation, clients: number, ms: number) {
    const began = performance.now()
    const taken: number[] = []
    await Promise.all(Array.from({ length: clients }, async () => {
      for (;;) {
        const start = performance.now()
        if (start - began > ms) return
        await this.#send(operations[operation](this.#ids[Math.floor(Math.random() * this.#ids.length)]!))
        taken.push(performance.now() - start)
      }
    }))
    return { taken, ms: performance.now() - began }
  }

  close () {
    return this.#pool.destroy()
  }

  async #send ({ method, path, body, expected }: Call) {
    const answer = await this.#pool.request({ method, path, headers: this.#headers, body })
    if (answer.statusCode !== expected) throw new Error(`${method} was answered ${answer.statusCode}`)
    return answer.body.text()
  }
}

/**
 * What each operation costs beside the floor: throughput, latency and CPU of gateway, patient and audit, all contenders in
 * turn. With `short`, one short round, for what fails rather than for figures.
 */
export async function operationCosts ({ short = false } = {}) {
  const sink = new Worker(new URL('./sink.ts', import.meta.url))
  const [telemetry] = await once(sink, 'message') as [NodeJS.ProcessEnv]
  const drawn: Drawn[] = []
  const contenders: Record<string, Contender> = {}
  const clients: Record<string, Clients> = {}
  try {
    contenders.floor = await floor()
    contenders.ours = await ours()
    contenders['ours-with-telemetry'] = await ours({ ...telemetry, TELEMETRY_SAMPLING: '1' })
    contenders['sample-like'] = await floor(true)
    const names = Object.keys(contenders)
    for (const name of names) {
      clients[name] = new Clients(contenders[name]!)
      await clients[name].fill(short ? 150 : PATIENTS)
    }

    const rounds = short ? 1 : ROUNDS
    const ms = short ? 200 : ROUND_MS
    for (const operation of Object.keys(operations) as Operation[]) {
      if (!short) for (const name of names) await clients[name]!.run(operation, 16, WARM_MS)
      for (const count of CLIENTS) {
        const measured: Record<string, Measured[]> = Object.fromEntries(names.map((name) => [name, []]))
        for (let round = 0; round < rounds; round++) {
          for (const name of round % 2 ? names.toReversed() : names) measured[name]!.push(await measure(contenders[name]!, clients[name]!, operation, count, ms))
        }
        tell(operation, count, measured)
        if (!short) drawn.push({ operation, clients: count, measured })
      }
    }
    if (!short) draw(drawn)
  } finally {
    for (const one of Object.values(clients)) await one.close()
    for (const { stop } of Object.values(contenders)) await stop()
    await sink.terminate()
  }
}

async function measure ({ pids }: Contender, clients: Clients, operation: Operation, count: number, forMs: number): Promise<Measured> {
  const used = () => Object.values(pids).map(cpuOf).reduce((a, b) => a + b)
  const before = used()
  const { taken, ms } = await clients.run(operation, count, forMs)
  return { perSecond: taken.length / ms * 1_000, p50: median(taken), p99: quantile(taken, 0.99), cpu: (used() - before) / taken.length }
}

/** The targets of ours beside the floor. */
const targets = (operation: Operation, clients: number): Partial<Record<keyof Measured, Target>> => !HELD.includes(operation)
  ? {}
  : {
      cpu: clients === 16 ? atMost(1.35) : undefined,
      perSecond: clients === 64 ? atLeast(0.85) : undefined,
      p50: clients === 1 ? atMost(1.15) : undefined,
      p99: clients === 16 ? atMost(1.5) : undefined
    }

function tell (operation: Operation, clients: number, measured: Record<string, Measured[]>) {
  const at = `${operation}-at-${clients}`
  for (const what of ['perSecond', 'p50', 'p99', 'cpu'] as const) {
    figure(`${at}-${LABELS[what]}-floor`, measured.floor!.map((one) => one[what]))
    for (const name of Object.keys(measured).filter((name) => name !== 'floor')) {
      const beside = measured[name]!.map((one, i) => one[what] / measured.floor![i]![what])
      figure(`${at}-${LABELS[what]}-${name}-to-floor`, beside, name === 'ours' ? targets(operation, clients)[what] : undefined)
    }
  }
}

interface Drawn {
  operation: Operation
  clients: number
  measured: Record<string, Measured[]>
}

function draw (all: Drawn[]) {
  const groups = (clients: number, what: keyof Measured) => all.filter((one) => one.clients === clients).map(({ operation, measured }) => ({
    name: operation,
    bars: Object.entries(measured).map(([series, rounds]) => {
      const values = rounds.map((one, i) => one[what] / measured.floor![i]![what])
      return { series, value: median(values), min: Math.min(...values), max: Math.max(...values) }
    })
  }))
  bars('cpu', { title: 'CPU of a request over gateway, patient and audit, 16 clients, floor = 1', label: 'times', bound: 1.35, groups: groups(16, 'cpu') })
  bars('throughput', { title: 'Requests a second, 64 clients, floor = 1', label: 'times', bound: 0.85, groups: groups(64, 'perSecond') })
}

const LABELS = { perSecond: 'per-second', p50: 'p50-ms', p99: 'p99-ms', cpu: 'cpu-us' }
