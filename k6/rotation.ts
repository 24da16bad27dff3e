import type { Options } from 'k6/options'
import { cleanUp, operateSealed, reach } from './lib/mix.ts'
import { arrivals, thresholds } from './lib/scenarios.ts'
import { duration, RATE } from './lib/settings.ts'

// A constant load while the keys are rotated by the caller of this script: no request may fail

export const options: Options = {
  scenarios: { arrivals: arrivals(RATE, duration('DURATION', '1m')) },
  thresholds: thresholds(['arrivals']),
  teardownTimeout: '10m'
}

export { cleanUp as teardown, operateSealed as arrival, reach as setup }
