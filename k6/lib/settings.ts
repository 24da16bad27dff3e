// What a run is told by its environment

/** Users at the same time, each of whom thinks between two requests; 0 leaves them out. */
export const USERS = whole('USERS', 50)

/** Requests that come in a second, however long the answers take; 0 leaves them out. */
export const RATE = whole('RATE', 20)

/** The bound of the 95th percentile of each route. */
export const P95_MS = whole('P95_MS', 500)

/** The length of a scenario, as k6 writes it. */
export function duration (name: string, fallback: string) {
  const value = __ENV[name] || fallback
  if (!/^(?:\d+(?:ms|s|m|h))+$/.test(value)) throw new Error(`${name} must be a duration, such as 90s or 3m`)
  return value
}

/** @throws where the setting is something else than a whole number */
export function whole (name: string, fallback: number) {
  const value = __ENV[name] || String(fallback)
  if (!/^\d{1,6}$/.test(value)) throw new Error(`${name} must be a whole number`)
  return Number(value)
}
