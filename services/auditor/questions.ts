import { InvalidForm } from './errors.ts'

/** The filters of a search, as forms and paths have them; dates without a zone are in UTC. */
export interface RecordFilter {
  from: string
  to: string
  actor?: string
  onBehalfOf?: string
  purpose?: string
  type?: string
  id?: string
  operation?: string
  outcome?: string
  operationId?: string
  clientAddress?: string
}

/** Counts of records, of which those until `until` are complete. */
export interface Statistics {
  from: string
  to: string
  by: 'hour' | 'day'
  until: string
  rows: Array<{
    start: string
    actor?: string
    type: string
    operation: string
    outcome?: string
    count: number
  }>
}

export const FILTERS = [
  'actor', 'onBehalfOf', 'purpose', 'type', 'id', 'operation', 'outcome', 'operationId', 'clientAddress'
] as const

const HOUR_MS = 60 * 60 * 1_000
const MINUTE_MS = 60_000
/** A longer time is plotted by day. */
const MAX_HOURS = 96
const LOCAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/

/** The first value of a parameter, without blanks around it; empty if it is missing. */
export function parameter (query: Record<string, unknown>, name: string) {
  const value = query[name]
  return String((Array.isArray(value) ? value[0] : value) ?? '').trim()
}

/**
 * The filters in a query; without dates, the last day.
 *
 * @throws {InvalidForm}
 */
export function filterOf (query: Record<string, unknown>, now = Date.now()): RecordFilter {
  const to = Math.ceil(now / MINUTE_MS) * MINUTE_MS
  const local = (ms: number) => new Date(ms).toISOString().slice(0, 16)
  const others = FILTERS.map((name) => [name, parameter(query, name)]).filter(([, value]) => value)
  return {
    from: dateIn(query, 'from') || local(to - 24 * HOUR_MS),
    to: dateIn(query, 'to') || local(to),
    ...Object.fromEntries(others)
  }
}

/**
 * A date in a query, as the input of a form has it: in UTC, without a zone; empty if it is missing.
 *
 * @throws {InvalidForm}
 */
export function dateIn (query: Record<string, unknown>, name: string) {
  const text = parameter(query, name)
  if (text === '') return ''
  const zoned = LOCAL.test(text) ? `${text}Z` : text
  if (!Number.isFinite(Date.parse(zoned))) throw new InvalidForm(`${name} must be a date and time`)
  return new Date(zoned).toISOString().replace(/(:00)?\.000Z$|Z$/, '')
}

/** A date of a form as the API has it. */
export function toApiDate (text: string) {
  return text && new Date(`${text}Z`).toISOString()
}

/** The filters as parameters of the API. */
export function toQuery ({ from, to, ...others }: RecordFilter): Record<string, string | undefined> {
  return { from: toApiDate(from), to: toApiDate(to), ...others }
}

/** By which unit a time is plotted. */
export function unitOf ({ from, to }: RecordFilter): Statistics['by'] {
  return Date.parse(`${to}Z`) - Date.parse(`${from}Z`) > MAX_HOURS * HOUR_MS ? 'day' : 'hour'
}
