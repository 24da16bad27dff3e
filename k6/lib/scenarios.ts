import type { Scenario } from 'k6/options'
import { routes } from './client.ts'
import { P95_MS, USERS } from './settings.ts'

/** Users with a think time, who wait for each response (closed model). */
export const users = (duration: string): Scenario => ({
  executor: 'constant-vus',
  exec: 'user',
  vus: USERS,
  duration
})

/** Operations that start at `rate` a second, regardless of pending responses (open model). */
export const arrivals = (rate: number, duration: string, startTime = '0s', seconds = 2): Scenario => ({
  executor: 'constant-arrival-rate',
  exec: 'arrival',
  startTime,
  rate,
  duration,
  ...sized(rate, seconds)
})

/** Enough users for responses that take `seconds`. If k6 has to add a user, it drops an operation. */
export function sized (rate: number, seconds: number) {
  return { preAllocatedVUs: Math.ceil(rate * seconds) + 1, maxVUs: 20 * rate + 1 }
}

/** For each scenario: every check passes, no request fails or is dropped, and each route is fast enough. */
export function thresholds (scenarios: string[], bound = `p(95)<${P95_MS}`) {
  return Object.fromEntries(scenarios.flatMap((name) => [
    [`checks{scenario:${name}}`, ['rate==1']],
    [`http_req_failed{scenario:${name}}`, ['rate==0']],
    [`dropped_iterations{scenario:${name}}`, ['count==0']],
    ...Object.values(routes).map((route) => [`http_req_duration{scenario:${name},name:${route}}`, [bound]])
  ]))
}
