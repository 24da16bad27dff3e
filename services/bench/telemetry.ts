import { ours } from './contenders.ts'
import { atLeast, figure, inTurns, ratios } from './figures.ts'
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
  try {
    const { off, all, tenth } = contenders
    const clients = { off: new Clients(off), all: new Clients(all), tenth: new Clients(tenth) }
    for (const one of Object.values(clients)) await one.fill(1)
    for (const [method, operation] of [['get', 'load'], ['post', 'create']] as const) {
      const measure = async (name: keyof typeof clients) =>
        (await clients[name].run(operation, CLIENTS, ROUND_MS)).perSecond
      const rates = await inTurns(['off', 'all', 'tenth'], ROUNDS, measure, 1)
      figure(`telemetry-off-${method}-per-second`, rates.off)
      figure(`telemetry-100%-${method}-throughput`, ratios(rates.all, rates.off), atLeast(0.75))
      figure(`telemetry-10%-${method}-throughput`, ratios(rates.tenth, rates.off), atLeast(0.80))
    }
  } finally {
    for (const { stop } of Object.values(contenders)) await stop()
    await sink.stop()
  }
}
