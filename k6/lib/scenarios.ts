import type { Scenario } from 'k6/options'
import { routes } from './client.ts'
import { P95_MS, USERS } from './settings.ts'

/** Users who wait for each answer and think before the next request (a closed model). */
export const users = (duration: string): Scenario => ({
  executor: 'constant-vus',
  exec: 'user',
  vus: USERS,
  duration
})

/** Operations that begin at `rate` a second, whether or not the ones before are answered (an open model). */
export const arrivals = (rate: number, duration: string, startTime = '0s', seconds = 2): Scenario => ({
  executor: 'constant-arrival-rate',
  exec: 'arrival',
  startTime,
  rate,
  duration,
  ...sized(rate, seconds)
})

/** Enough for answers that take so many seconds. k6 makes more where they take longer, but leaves out an operation for each. */
export const sized = (rate: number, seconds: number) => ({ preAllocatedVUs: Math.ceil(rate * seconds) + 1, maxVUs: 20 * rate + 1 })

/** Of each scenario: every check holds, no request fails and none is left out, and each route is answered in time. */
export function thresholds (scenarios: string[], bound = `p(95)<${P95_MS}`) {
  return Object.fromEntries(scenarios.flatMap((name) => [
    [`checks{scenario:${name}}`, ['rate==1']],
    [`http_req_failed{scenario:${name}}`, ['rate==0']],
    [`dropped_iterations{scenario:${name}}`, ['count==0']],
    ...Object.values(routes).map((route) => [`http_req_duration{scenario:${name},name:${route}}`, [bound]])
  ]))
}
