import type { Options } from 'k6/options'
import { cleanUp, operate, reach, use } from './lib/mix.ts'
import { arrivals, thresholds, users } from './lib/scenarios.ts'
import { duration, RATE, USERS } from './lib/settings.ts'

// The usual mix: first users with a think time, then a constant arrival rate (open model)

const DURATION = duration('DURATION', '3m')

const scenarios = {
  ...USERS > 0 && { users: users(DURATION) },
  ...RATE > 0 && { arrivals: arrivals(RATE, DURATION, USERS > 0 ? DURATION : '0s') }
}

export const options: Options = {
  scenarios,
  thresholds: thresholds(Object.keys(scenarios)),
  teardownTimeout: '10m'
}

export { cleanUp as teardown, operate as arrival, reach as setup, use as user }
