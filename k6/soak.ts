import type { Options } from 'k6/options'
import { cleanUp, reach, use } from './lib/mix.ts'
import { thresholds, users } from './lib/scenarios.ts'
import { duration } from './lib/settings.ts'

// Users who think, for long: what grows meanwhile is a leak

export const options: Options = {
  scenarios: { users: users(duration('DURATION', '15m')) },
  thresholds: thresholds(['users']),
  teardownTimeout: '10m'
}

export { cleanUp as teardown, reach as setup, use as user }
