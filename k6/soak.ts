import type { Options } from 'k6/options'
import { cleanUp, operate, reach, use } from './lib/mix.ts'
import { arrivals, thresholds, users } from './lib/scenarios.ts'
import { duration, USERS, whole } from './lib/settings.ts'

// Users with a think time, and at the same time a rate that fills caches and heaps in minutes rather than
// hours: memory that keeps growing afterwards is a leak

const DURATION = duration('DURATION', '15m')
const RATE = whole('RATE', 100)

const scenarios = {
  ...USERS > 0 && { users: users(DURATION) },
  ...RATE > 0 && { arrivals: arrivals(RATE, DURATION) }
}

export const options: Options = {
  scenarios,
  thresholds: thresholds(Object.keys(scenarios)),
  teardownTimeout: '10m'
}

export { cleanUp as teardown, operate as arrival, reach as setup, use as user }
