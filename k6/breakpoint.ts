import type { Options } from 'k6/options'
import { cleanUp, operate, reach } from './lib/mix.ts'
import { arrivals } from './lib/scenarios.ts'
import { P95_MS, RATE, whole } from './lib/settings.ts'

// Increasing rates, each in its own scenario, so that its 95th percentile excludes lower rates. The first one
// whose percentile exceeds the threshold ends the run. The name of a scenario contains its rate.

const STEP_SECONDS = whole('STEP_SECONDS', 15)
const MAX_RATE = whole('MAX_RATE', 2_000)
const GROWTH = 1.25

const rates: number[] = []
for (let rate = Math.max(1, RATE); rate <= MAX_RATE; rate = Math.ceil(rate * GROWTH)) rates.push(rate)

/** Excludes cold starts from the results. */
const warmUp = arrivals(RATE, `${STEP_SECONDS}s`, '0s', 0.2)

const steps = rates.map((rate, i) => [`rate_${rate}`, {
  ...arrivals(rate, `${STEP_SECONDS}s`, `${(i + 1) * STEP_SECONDS}s`, 0.2),
  // The next step starts without waiting for this one
  gracefulStop: '5s'
}] as const)

export const options: Options = {
  scenarios: { warm_up: warmUp, ...Object.fromEntries(steps) },
  thresholds: Object.fromEntries(rates.flatMap((rate) => [
    [`http_req_duration{scenario:rate_${rate}}`, [{ threshold: `p(95)<=${P95_MS}`, abortOnFail: true }]],
    // Failed requests can be fast
    [`http_req_failed{scenario:rate_${rate}}`, [{ threshold: 'rate<0.01', abortOnFail: true }]]
  ])),
  teardownTimeout: '10m'
}

export { operate as arrival, cleanUp as teardown, reach as setup }
