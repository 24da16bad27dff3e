import { ours } from './contenders.ts'
import { atLeast, figure, median } from './figures.ts'
import { Clients } from './operations.ts'
import { startSink } from './sink.ts'

const ROUNDS = 7
const ROUND_MS = 2_500
const CLIENTS = 32

/** Measures the throughput of loads and creates with telemetry beside the one without it. */
export async function telemetry () {
  const sink = await startSink()
  const contenders = {
    off: await ours({ LOG_LEVEL: 'warn' }),
    all: await ours({ LOG_LEVEL: 'warn', ...sink.settings, TELEMETRY_SAMPLING: '1' }),
    tenth: await ours({ LOG_LEVEL: 'warn', ...sink.settings, TELEMETRY_SAMPLING: '0.1' })
  }
  const names = Object.keys(contenders) as Array<keyof typeof contenders>
  try {
    const clients = names.map((name) => new Clients(contenders[name]))
    for (const one of clients) await one.fill(1)
    for (const [method, operation] of [['get', 'load'], ['post', 'create']] as const) {
      const rates: Record<keyof typeof contenders, number[]> = { off: [], all: [], tenth: [] }
      // The first round warms up
      for (let round = -1; round < ROUNDS; round++) {
        for (const i of round % 2 ? [0, 1, 2] : [2, 1, 0]) {
          const { perSecond } = await clients[i]!.run(operation, CLIENTS, ROUND_MS)
          if (round >= 0) rates[names[i]!].push(perSecond)
        }
      }
      const ratio = (name: 'all' | 'tenth') => median(rates[name].map((rate, i) => rate / rates.off[i]!))
      figure(`telemetry-off-${method}-per-second`, median(rates.off))
      figure(`telemetry-100%-${method}-throughput`, ratio('all'), atLeast(0.75))
      figure(`telemetry-10%-${method}-throughput`, ratio('tenth'), atLeast(0.80))
    }
    figure('telemetry-megabytes-exported', await sink.bytes() / 1e6)
  } finally {
    for (const { stop } of Object.values(contenders)) await stop()
    await sink.stop()
  }
}
