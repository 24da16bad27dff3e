import type { Item } from './envelope.ts'

const WINDOW_MS = 5 * 60_000
const SLOT_MS = 10_000
// A sender with many names must not fill the memory
const MAX_ROUTES = 200
const OTHERS = 'others'

/** Buckets of durations grow by 4%, so that a quantile is within 2% of the true one. */
const GROWTH = 1.04
const SMALLEST_MS = 0.01

export interface Figures {
  /** The number of requests, of which a sampled one represents several. */
  requests: number
  failures: number
  p50: number | undefined
  p95: number | undefined
}

export interface RouteFigures extends Record<'recent' | 'total', Figures> {
  role: string
  route: string
}

interface Route {
  role: string
  route: string
  total: Tally
  /** By the ten seconds in which requests ended. */
  slots: Map<number, Tally>
}

/** Requests, failures and durations of each role and route, in the last five minutes and since the start. */
export class Traffic {
  #routes = new Map<string, Route>()

  add ({ role, name, time, durationMs, failed, weight }: Item, now = Date.now()) {
    const { total, slots } = this.#routeOf(role, name)
    total.add(durationMs, weight, failed)
    const slot = Math.floor(Math.min(time + durationMs, now) / SLOT_MS)
    if (!isRecent(slot, now)) return
    if (!slots.has(slot)) {
      for (const old of slots.keys()) if (!isRecent(old, now)) slots.delete(old)
      slots.set(slot, new Tally())
    }
    slots.get(slot)!.add(durationMs, weight, failed)
  }

  /** Sorted by role and route. */
  routes (now = Date.now()): RouteFigures[] {
    return [...this.#routes.values()].map(({ role, route, total, slots }) => {
      return { role, route, recent: figures(recentOf(slots, now)), total: figures([total]) }
    }).sort((a, b) => a.role.localeCompare(b.role) || a.route.localeCompare(b.route))
  }

  /** The requests of each role in the last five minutes. */
  roles (now = Date.now()): Array<Figures & { role: string }> {
    return [...Map.groupBy(this.#routes.values(), ({ role }) => role)].map(([role, routes]) => {
      return { role, ...figures(routes.flatMap(({ slots }) => recentOf(slots, now))) }
    })
  }

  #routeOf (role: string, route: string): Route {
    const key = JSON.stringify([role, route])
    const known = this.#routes.get(key)
    if (known) return known
    if (this.#routes.size >= MAX_ROUTES && role !== OTHERS) return this.#routeOf(OTHERS, OTHERS)
    const added: Route = { role, route, total: new Tally(), slots: new Map() }
    this.#routes.set(key, added)
    return added
  }
}

class Tally {
  requests = 0
  failures = 0
  /** The number of requests in each bucket of durations. */
  durations = new Map<number, number>()

  add (ms: number, weight: number, failed: boolean) {
    this.addTo(Math.round(Math.log(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) / Math.log(GROWTH)), weight)
    this.requests += weight
    if (failed) this.failures += weight
  }

  addTo (bucket: number, weight: number) {
    this.durations.set(bucket, (this.durations.get(bucket) ?? 0) + weight)
  }
}

function recentOf (slots: Map<number, Tally>, now: number) {
  return [...slots].flatMap(([slot, tally]) => isRecent(slot, now) ? [tally] : [])
}

function isRecent (slot: number, now: number) {
  return (slot + 1) * SLOT_MS > now - WINDOW_MS
}

function figures (tallies: Tally[]): Figures {
  const sum = new Tally()
  for (const { requests, failures, durations } of tallies) {
    sum.requests += requests
    sum.failures += failures
    for (const [bucket, weight] of durations) sum.addTo(bucket, weight)
  }
  const { requests, failures } = sum
  const ascending = [...sum.durations].sort(([a], [b]) => a - b)
  const quantile = (q: number) => {
    let rest = q * requests
    const found = ascending.find(([, weight]) => (rest -= weight) <= 1e-9)
    return found && SMALLEST_MS * GROWTH ** found[0]
  }
  return { requests, failures, p50: quantile(0.5), p95: quantile(0.95) }
}
