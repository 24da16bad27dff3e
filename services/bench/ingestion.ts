import { randomUUID } from 'node:crypto'
import { floor, ours } from './contenders.ts'
import { figure, inTurns, ratios } from './figures.ts'
import { load } from './load.ts'

const ROUNDS = 5
const ROUND_MS = 2_000
const CLIENTS = 64

/** Compares the records a second that the audit service stores with a service that inserts each by itself. */
export async function ingestion () {
  const contenders = { floor: await floor(), ours: await ours() }
  try {
    const measure = async (name: keyof typeof contenders) =>
      (await load(contenders[name].register, CLIENTS, ROUND_MS, storeRecord)).perSecond
    const rates = await inTurns(['ours', 'floor'], ROUNDS, measure, 1)
    figure('ingestion-insert-a-record-per-second', rates.floor)
    figure('ingestion-ours-per-second', rates.ours)
    figure('ingestion-ours-to-insert-a-record', ratios(rates.ours, rates.floor))
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
