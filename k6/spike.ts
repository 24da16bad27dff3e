import type { Options } from 'k6/options'
import { begin, cleanUp, operate } from './lib/mix.ts'
import { sized, thresholds } from './lib/scenarios.ts'
import { duration, whole } from './lib/settings.ts'

// From nothing to the full rate in ten seconds. There is no setup that asks the gateway: it would wake what is scaled to
// zero. The first requests wait for a start, so that only failures count here, and the time of the median

const RATE = whole('RATE', 100)

export const options: Options = {
  scenarios: {
    spike: {
      executor: 'ramping-arrival-rate',
      startRate: 0,
      stages: [
        { target: RATE, duration: '10s' },
        { target: RATE, duration: duration('DURATION', '30s') },
        { target: 0, duration: '5s' }
      ],
      ...sized(RATE),
      exec: 'arrival'
    }
  },
  thresholds: thresholds(['spike'], 'p(95)<30000'),
  teardownTimeout: '10m'
}

export { operate as arrival, begin as setup, cleanUp as teardown }
