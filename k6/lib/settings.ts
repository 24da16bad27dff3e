// Settings of a run, from environment variables

/** Concurrent users with a think time between requests; 0: no users. */
export const USERS = whole('USERS', 50)

/** Requests a second, regardless of the response times; 0: no such requests. */
export const RATE = whole('RATE', 20)

/** Threshold for the 95th percentile of each route, in ms. */
export const P95_MS = whole('P95_MS', 500)

/** The duration of a scenario in the syntax of k6. */
export function duration (name: string, fallback: string) {
  const value = __ENV[name] || fallback
  if (!/^(?:\d+(?:ms|s|m|h))+$/.test(value)) throw new Error(`${name} must be a duration, such as 90s or 3m`)
  return value
}

/** @throws if the setting is not a whole number */
export function whole (name: string, fallback: number) {
  const value = __ENV[name] || String(fallback)
  if (!/^\d{1,6}$/.test(value)) throw new Error(`${name} must be a whole number`)
  return Number(value)
}
