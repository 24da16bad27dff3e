import { BSONRegExp } from 'bson'
import { keyOf, order, orderOf } from '../bson/keys.ts'
import type { Value } from '../bson/values.ts'
import type { Comparison } from './conditions.ts'
import type { Filter, Leaf } from './filter.ts'

/** A stretch of ascending keys of one path. */
export interface Interval {
  lo: Buffer
  includesLo: boolean
  hi: Buffer
  includesHi: boolean
}

const lowest = Buffer.from([0])
const highest = Buffer.from([0xff])
export const everything: Interval = { lo: lowest, includesLo: true, hi: highest, includesHi: false }

export function isPoint ({ lo, includesLo, hi, includesHi }: Interval): boolean {
  return includesLo && includesHi && lo.equals(hi)
}

function point (value: Value): Interval {
  const key = keyOf(value)
  return { lo: key, includesLo: true, hi: key, includesHi: true }
}

function compareLo (a: Interval, b: Interval): number {
  return Buffer.compare(a.lo, b.lo) || Number(b.includesLo) - Number(a.includesLo)
}

function compareHi (a: Interval, b: Interval): number {
  return Buffer.compare(a.hi, b.hi) || Number(a.includesHi) - Number(b.includesHi)
}

function isEmpty ({ lo, includesLo, hi, includesHi }: Interval): boolean {
  const order = Buffer.compare(lo, hi)
  return order > 0 || (order === 0 && !(includesLo && includesHi))
}

/** The intervals in order, those that overlap or touch made one. */
function union (intervals: Interval[]): Interval[] {
  const merged: Interval[] = []
  for (const next of intervals.filter((interval) => !isEmpty(interval)).sort(compareLo)) {
    const last = merged.at(-1)
    const gap = last === undefined ? 1 : Buffer.compare(next.lo, last.hi)
    if (gap > 0 || (gap === 0 && !next.includesLo && !last!.includesHi)) merged.push(next)
    else if (compareHi(next, last!) > 0) {
      merged[merged.length - 1] = { ...last!, hi: next.hi, includesHi: next.includesHi }
    }
  }
  return merged
}

function intersection (left: Interval[], right: Interval[]): Interval[] {
  return union(left.flatMap((a) => right.map((b) => {
    const from = compareLo(a, b) >= 0 ? a : b
    const to = compareHi(a, b) <= 0 ? a : b
    return { lo: from.lo, includesLo: from.includesLo, hi: to.hi, includesHi: to.includesHi }
  })))
}

/** What a condition says of the keys of one path: every match has a key in the intervals. */
export interface Bound {
  intervals: Interval[]
  /** Whether every key in the intervals is that of a match. */
  exact: boolean
}

function equalityBound (value: Value): Bound {
  // an array equals the whole value of a field, or one element of it; the keys of the first are those of its
  // elements
  if (Array.isArray(value)) return { intervals: union([point(value), point(value[0])]), exact: false }
  return { intervals: [point(value)], exact: true }
}

function rangeBound (op: Comparison, value: Value): Bound | undefined {
  const type = orderOf(value)
  const inclusive = op === 'lte' || op === 'gte'
  if (type === order.null) return { intervals: inclusive ? [point(null)] : [], exact: true }
  // keys are of the elements of an array, so that they do not order arrays
  if (type === order.array) return undefined
  const key = keyOf(value)
  const nan = keyOf(NaN)
  if (key.equals(nan)) return { intervals: inclusive ? [point(NaN)] : [], exact: true }
  const lo = type === order.number ? nan : Buffer.from([type])
  const interval = op === 'lt' || op === 'lte'
    ? { lo, includesLo: type !== order.number, hi: key, includesHi: inclusive }
    : { lo: key, includesLo: inclusive, hi: Buffer.from([type + 1]), includesHi: false }
  return { intervals: union([interval]), exact: true }
}

/** The bound of a condition on its own path, undefined if it says nothing of keys. */
function leafBound ({ op, value }: Leaf): Bound | undefined {
  switch (op) {
    case 'eq': return equalityBound(value)
    case 'in': {
      const values = value as Value[]
      if (values.some((item) => item instanceof BSONRegExp)) return undefined
      return anyBound(values.map(equalityBound))
    }
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': return rangeBound(op, value)
    default: return undefined
  }
}

function anyBound (bounds: Bound[]): Bound {
  const intervals = union(bounds.flatMap((bound) => bound.intervals))
  return { intervals, exact: bounds.every(({ exact }) => exact) }
}

function boundsOf (filters: Filter[], path: string, multikey: boolean): Bound[] {
  return filters.map((filter) => boundOf(filter, path, multikey)).filter((bound) => bound !== undefined)
}

/** The bound that a condition sets on a path, undefined for none. */
export function boundOf (filter: Filter, path: string, multikey: boolean): Bound | undefined {
  switch (filter.kind) {
    case 'leaf': return filter.path === path ? leafBound(filter) : undefined
    case 'and': return boundOfAll(filter.parts, path, multikey)
    case 'or': {
      const bounds = boundsOf(filter.parts, path, multikey)
      return bounds.length < filter.parts.length ? undefined : anyBound(bounds)
    }
    default: return undefined
  }
}

/**
 * The bound of conditions that all must hold. Each of them may be met by another element of an array, so that
 * there only one bound counts.
 */
export function boundOfAll (filters: Filter[], path: string, multikey: boolean): Bound | undefined {
  const found = boundsOf(filters, path, multikey)
  if (found.length === 0) return undefined
  if (multikey) {
    const width = ({ intervals }: Bound): number => intervals.every(isPoint) ? intervals.length : Infinity
    return { intervals: found.reduce((a, b) => width(b) < width(a) ? b : a).intervals, exact: false }
  }
  return {
    intervals: found.map(({ intervals }) => intervals).reduce(intersection),
    exact: found.length === filters.length && found.every(({ exact }) => exact)
  }
}

/** The text of a key in explain, `...` for types that tools do not read. */
function showKey (key: Buffer): string {
  if (key.equals(lowest)) return 'MinKey'
  if (key.equals(highest)) return 'MaxKey'
  switch (key[0]) {
    case order.null: return 'null'
    case order.bool: return String(key[1] === 1)
    case order.string: return JSON.stringify(key.subarray(1, -2).toString())
    case order.number: return key.length < 9 ? '...' : showDouble(Buffer.from(key.subarray(1, 9)))
    default: return '...'
  }
}

function showDouble (bytes: Buffer): string {
  if (bytes[0]! & 0x80) bytes[0]! &= 0x7f
  else for (let i = 0; i < 8; i++) bytes[i] = ~bytes[i]!
  const number = bytes.readDoubleBE()
  return Number.isInteger(number) ? number.toFixed(1) : String(number)
}

/** An interval as explain shows it, in the direction of its index. */
export function showInterval ({ lo, includesLo, hi, includesHi }: Interval, direction: number): string {
  const [from, to] = [showKey(lo), showKey(hi)]
  const includesLast = includesHi || hi === highest
  return direction > 0
    ? `${includesLo ? '[' : '('}${from}, ${to}${includesLast ? ']' : ')'}`
    : `${includesLast ? '[' : '('}${to}, ${from}${includesLo ? ']' : ')'}`
}
