import { openOf, type ChainDocument } from '#common/transparency/documents.ts'
import type { LogStore } from '../log/store.ts'
import { HOUR_MS, parseCounterKey, type Counters } from './counters.ts'
import type { ReviewPosition } from './position.ts'

const DAY_MS = 24 * HOUR_MS
export const INTERVALS = { hour: HOUR_MS, day: DAY_MS }
export type Interval = keyof typeof INTERVALS

interface StatisticsQuery {
  /** Starts of intervals, in ms since 1970; `to` is the end of the last one. */
  from: number
  to: number
  by: Interval
  actor?: string
  type?: string
  operation?: string
  outcome?: string
}

/** The number of records of one interval (UTC) that agree in everything else. */
export interface StatisticsRow {
  /** The start of the interval. */
  start: string
  actor?: string
  type: string
  operation: string
  outcome?: string
  count: number
}

/**
 * The counts that a query wants, in the order of their intervals.
 *
 * @param maxRows the number of rows of which one more is returned at the most
 * @throws {DatabaseUnavailable}
 */
export async function statisticsOf (counters: Counters, query: StatisticsQuery, maxRows: number) {
  const rows = new Map<string, StatisticsRow>()
  for await (const { _id, actor, counts } of counters.between(
    new Date(query.from), new Date(query.to), query.actor
  )) {
    const start = _id.slice(0, query.by === 'hour' ? 13 : 10)
    for (const [name, count] of Object.entries(counts)) {
      const key = `${start} ${name} ${actor ?? ''}`
      const known = rows.get(key)
      if (known) {
        known.count += count
        continue
      }
      const parts = parseCounterKey(name)
      if (!isWanted(parts, query)) continue
      rows.set(key, { start: toDate(start), ...(actor !== undefined && { actor }), ...parts, count })
      if (rows.size > maxRows) return [...rows.values()]
    }
  }
  return [...rows.values()]
}

/**
 * The date before which every record is counted that is stored now.
 *
 * @throws {DatabaseUnavailable}
 */
export async function countedUntil (store: LogStore, position: ReviewPosition) {
  const now = new Date()
  const { position: index } = await position.read(await store.size())
  const last = index === 0 ? null : await store.batchBefore(index)
  const open = openOf(last)
  const dates = (await store.openChains()).map(async ({ _id }: ChainDocument) => {
    const next = open.get(_id)
    // Counted to its end
    if (next === undefined && last && await store.hasChain(_id, index)) return now
    const [block] = await store.firstBlocks(_id, next ?? 1)
    return block && !block.end && block.from < now ? block.from : now
  })
  return (await Promise.all(dates)).reduce((earliest, date) => date < earliest ? date : earliest, now)
}

function isWanted (parts: { type: string, operation: string, outcome?: string }, query: StatisticsQuery) {
  return (['type', 'operation', 'outcome'] as const).every((name) => {
    return query[name] === undefined || query[name] === parts[name]
  })
}

function toDate (start: string) {
  return new Date(start.length === 13 ? `${start}:00Z` : start).toISOString()
}
