import type { Violation } from '#common/http/validation.ts'
import { GatewayError, InvalidField } from './errors.ts'

export const FILTERS = [
  'actor', 'onBehalfOf', 'purpose', 'type', 'id', 'operation', 'outcome', 'operationId', 'clientAddress'
] as const

/** The filters of a search, as forms and paths have them; dates without a zone are in UTC. */
export type RecordFilter = Partial<Record<typeof FILTERS[number], string>> & { from: string, to: string }

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
 * @throws {InvalidField}
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
 * @throws {InvalidField}
 */
export function dateIn (query: Record<string, unknown>, name: string) {
  const text = parameter(query, name)
  if (text === '') return ''
  const zoned = LOCAL.test(text) ? `${text}Z` : text
  if (!Number.isFinite(Date.parse(zoned)) || !isDay(text.slice(0, 10))) {
    throw new InvalidField(name, 'must be a date and time')
  }
  return new Date(zoned).toISOString().replace(/(:00)?\.000Z$|Z$/, '')
}

/** Date.parse takes 31 February for 3 March. */
function isDay (text: string) {
  const ms = Date.parse(`${text}T00:00Z`)
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(text)
}

/** What is wrong with fields of a form, by their names: what each must be. */
export type FieldProblems = Partial<Record<string, string>>

/**
 * The fields that the page or the register refused.
 *
 * @param names the fields of the form
 * @throws the error, if it is about anything else
 */
export function fieldProblems (error: unknown, names: readonly string[]): FieldProblems {
  if (error instanceof InvalidField && names.includes(error.field)) return { [error.field]: error.detail }
  if (!(error instanceof GatewayError) || error.statusCode !== 400) throw error
  const nameOf = ({ pointer }: Violation) => pointer.split('/').at(-1)!
  const { violations } = error
  if (violations.length === 0 || !violations.every((one) => names.includes(nameOf(one)))) throw error
  return Object.fromEntries(violations.map((one) => [nameOf(one), plain(one.message)]))
}

/** Auditors do not read regular expressions. */
function plain (message: string) {
  return message.startsWith('must match pattern') ? 'has characters that no id or code has' : message
}

/** The filters as they were typed, for a form that is shown again. */
export function typedFilter (query: Record<string, unknown>): RecordFilter {
  const typed = ['from', 'to', ...FILTERS].map((name) => [name, parameter(query, name)])
  return Object.fromEntries(typed) as unknown as RecordFilter
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
