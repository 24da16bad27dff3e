import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { floor, ours, type Contender } from './contenders.ts'
import { atLeast, figure } from './figures.ts'

const ROUNDS = 5
const ROUND_MS = 2_000
const CLIENTS = 64
const RECORDS = 1_000

/** Records a second that the register takes of 64 clients, beside a service that stores each with an insert of its own. */
export async function ingestion () {
  const contenders = { floor: await floor(), ours: await ours() }
  try {
    const rates: Record<keyof typeof contenders, number[]> = { floor: [], ours: [] }
    for (let round = -1; round < ROUNDS; round++) {
      for (const name of round % 2 ? ['floor', 'ours'] as const : ['ours', 'floor'] as const) {
        const rate = await recordsASecond(contenders[name])
        if (round >= 0) rates[name].push(rate)
      }
    }
    figure('ingestion-insert-a-record-per-second', rates.floor)
    figure('ingestion-ours-per-second', rates.ours)
    figure('ingestion-ours-to-insert-a-record', rates.ours.map((rate, i) => rate / rates.floor[i]!), atLeast(3))
  } finally {
    for (const { stop } of Object.values(contenders)) await stop()
  }
}

// With sockets alone and requests made beforehand: an HTTP client would take as much of the processors as the register
async function recordsASecond ({ register: { baseUrl, headers } }: Contender) {
  const { hostname, port } = new URL(baseUrl)
  const fields = Object.entries({ host: hostname, 'content-type': 'application/json', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const requests = Array.from({ length: RECORDS }, () => {
    const body = JSON.stringify({
      sourceSystemName: 'patient',
      resource: { type: 'patient', id: randomUUID(), operation: 'load' },
      actor: 'local-client',
      clientAddress: '127.0.0.1',
      requestId: randomUUID(),
      disclosed: [{ id: randomUUID(), version: randomUUID() }]
    })
    return Buffer.from(`POST /audit HTTP/1.1\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`)
  })
  const began = performance.now()
  let recorded = 0
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const send = () => socket.write(requests[Math.floor(Math.random() * RECORDS)]!)
    socket.once('connect', send)
    socket.on('data', (answer) => {
      // It is small and comes whole
      if (!answer.includes('HTTP/1.1 201 ')) return socket.destroy(new Error('a record was not taken'))
      recorded++
      if (performance.now() - began < ROUND_MS) send()
      else socket.end()
    })
    await once(socket, 'close')
  }))
  return recorded / (performance.now() - began) * 1_000
}
