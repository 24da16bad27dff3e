import type { Options } from 'k6/options'
import { cleanUp, operate, reach } from './lib/mix.ts'
import { arrivals } from './lib/scenarios.ts'
import { P95_MS, RATE, whole } from './lib/settings.ts'

// Higher rates one after the other, each a scenario of its own, so that its 95th percentile is not that of the calm
// before: the first rate whose percentile passes the bound ends the run, and stands in the scenario's name

const STEP_SECONDS = whole('STEP_SECONDS', 15)
const MAX_RATE = whole('MAX_RATE', 2_000)
const GROWTH = 1.25

const rates: number[] = []
for (let rate = Math.max(1, RATE); rate <= MAX_RATE; rate = Math.ceil(rate * GROWTH)) rates.push(rate)

/** What starts cold is not yet what it can do. */
const warmUp = arrivals(RATE, `${STEP_SECONDS}s`, '0s', 0.2)

const steps = rates.map((rate, i) => [`rate_${rate}`, {
  ...arrivals(rate, `${STEP_SECONDS}s`, `${(i + 1) * STEP_SECONDS}s`, 0.2),
  // The next one does not wait for it
  gracefulStop: '5s'
}] as const)

export const options: Options = {
  scenarios: { warm_up: warmUp, ...Object.fromEntries(steps) },
  thresholds: Object.fromEntries(rates.flatMap((rate) => [
    [`http_req_duration{scenario:rate_${rate}}`, [{ threshold: `p(95)<=${P95_MS}`, abortOnFail: true }]],
    // A refusal is quick, and no answer
    [`http_req_failed{scenario:rate_${rate}}`, [{ threshold: 'rate<0.01', abortOnFail: true }]]
  ])),
  teardownTimeout: '10m'
}

export { operate as arrival, cleanUp as teardown, reach as setup }
