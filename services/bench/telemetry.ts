import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Pool } from 'undici'
import { startSystem } from '../test/system.ts'
import { atLeast, figure, median } from './figures.ts'

const ROUNDS = 7
const ROUND_MS = 2_500
const CLIENTS = 32
const PATIENT = JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1815', postCode: 'W1S4' })

/** What telemetry costs: throughput of GET and POST through the gateway with it beside without it. */
export async function telemetry () {
  const sink = new Worker(new URL('./sink.ts', import.meta.url))
  const [settings] = await once(sink, 'message')
  const contenders = {
    off: await contender({}),
    all: await contender({ ...settings, TELEMETRY_SAMPLING: '1' }),
    tenth: await contender({ ...settings, TELEMETRY_SAMPLING: '0.1' })
  }
  try {
    for (const operation of ['get', 'post'] as const) {
      const rates: Record<keyof typeof contenders, number[]> = { off: [], all: [], tenth: [] }
      for (let round = -1; round < ROUNDS; round++) {
        // Neither is always the first, when the machine may still be busy with the one before
        const order = Object.keys(contenders) as Array<keyof typeof contenders>
        for (const name of round % 2 ? order : order.reverse()) {
          const rate = await contenders[name][operation](ROUND_MS)
          if (round >= 0) rates[name].push(rate)
        }
      }
      const beside = (name: 'all' | 'tenth') => median(rates[name].map((rate, i) => rate / rates.off[i]!))
      figure(`telemetry-off-${operation}-per-second`, median(rates.off))
      figure(`telemetry-100%-${operation}-throughput`, beside('all'), atLeast(0.75))
      figure(`telemetry-10%-${operation}-throughput`, beside('tenth'), atLeast(0.80))
    }
    sink.postMessage('bytes')
    const [bytes] = await once(sink, 'message')
    figure('telemetry-megabytes-told', bytes / 1e6)
  } finally {
    for (const { stop } of Object.values(contenders)) await stop()
    await sink.terminate()
  }
}

async function contender (env: NodeJS.ProcessEnv) {
  const system = await startSystem({ env: { LOG_LEVEL: 'warn', MONITOR: 'off', ...env } })
  const pool = new Pool(system.baseUrl, { connections: CLIENTS })
  const headers = { 'ocp-apim-subscription-key': system.subscriptionKey }
  const call = async (method: 'GET' | 'POST', path: string, body: string | null, expected: number) => {
    const answer = await pool.request({ method, path, headers, body })
    if (answer.statusCode !== expected) throw new Error(`${method} was answered ${answer.statusCode}`)
    return answer.body.text()
  }
  const { id } = JSON.parse(await call('POST', '/patient', PATIENT, 201))

  /** Requests a second, by clients that send one after the other. */
  async function rate (ms: number, work: () => Promise<unknown>) {
    const began = performance.now()
    let done = 0
    await Promise.all(Array.from({ length: CLIENTS }, async () => {
      for (; performance.now() - began < ms; done++) await work()
    }))
    return done / (performance.now() - began) * 1_000
  }

  return {
    get: (ms: number) => rate(ms, () => call('GET', `/patient/${id}`, null, 200)),
    post: (ms: number) => rate(ms, () => call('POST', '/patient', PATIENT, 201)),
    async stop () {
      await pool.destroy()
      await system.stop()
    }
  }
}
