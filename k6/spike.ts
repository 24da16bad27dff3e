import type { Options } from 'k6/options'
import { begin, cleanUp, operate } from './lib/mix.ts'
import { sized, thresholds } from './lib/scenarios.ts'
import { duration, whole } from './lib/settings.ts'

// From zero to the full rate in ten seconds. The setup sends no request, because it would start services that
// are scaled to zero. The first requests wait for a start, so the thresholds allow a high latency.

const RATE = whole('RATE', 100)

/** All requests of the ramp-up may wait for the start. */
const RISE_SECONDS = 10

export const options: Options = {
  scenarios: {
    spike: {
      executor: 'ramping-arrival-rate',
      startRate: 0,
      stages: [
        { target: RATE, duration: `${RISE_SECONDS}s` },
        { target: RATE, duration: duration('DURATION', '30s') },
        { target: 0, duration: '5s' }
      ],
      ...sized(RATE, RISE_SECONDS / 2),
      exec: 'arrival'
    }
  },
  thresholds: thresholds(['spike'], 'p(95)<30000'),
  teardownTimeout: '10m'
}

export { operate as arrival, begin as setup, cleanUp as teardown }
