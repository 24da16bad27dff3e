import { randomUUID } from 'node:crypto'
import { floor, ours } from './contenders.ts'
import { figure } from './figures.ts'
import { load } from './load.ts'

const ROUNDS = 5
const ROUND_MS = 2_000
const CLIENTS = 64

/** Compares the records a second that the audit service stores with a service that inserts each by itself. */
export async function ingestion () {
  const contenders = { floor: await floor(), ours: await ours() }
  try {
    const rates: Record<keyof typeof contenders, number[]> = { floor: [], ours: [] }
    // The first round warms up
    for (let round = -1; round < ROUNDS; round++) {
      for (const name of round % 2 ? ['floor', 'ours'] as const : ['ours', 'floor'] as const) {
        const { perSecond } = await load(contenders[name].register, CLIENTS, ROUND_MS, storeRecord)
        if (round >= 0) rates[name].push(perSecond)
      }
    }
    figure('ingestion-insert-a-record-per-second', rates.floor)
    figure('ingestion-ours-per-second', rates.ours)
    figure('ingestion-ours-to-insert-a-record', rates.ours.map((rate, i) => rate / rates.floor[i]!))
  } finally {
    for (const { stop } of Object.values(contenders)) await stop()
  }
}

const storeRecord = () => ({
  method: 'POST' as const,
  path: '/audit',
  body: JSON.stringify({
    sourceSystemName: 'patient',
    resource: { type: 'patient', id: randomUUID(), operation: 'load' },
    actor: 'local-client',
    clientAddress: '127.0.0.1',
    requestId: randomUUID(),
    disclosed: [{ id: randomUUID(), version: randomUUID() }]
  }),
  expected: 201
})
