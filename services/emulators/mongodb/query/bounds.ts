import { BSONRegExp } from 'bson'
import { keyOf, order, orderOf } from '../bson/keys.ts'
import { toNumber } from '../bson/values.ts'
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

function equalityBound (value: Value): Interval[] {
  // An array equals the whole value of a field, or one element of it; the keys of the first are those of its
  // elements
  return union(Array.isArray(value) ? [point(value), point(value[0])] : [point(value)])
}

function rangeBound (op: Comparison, value: Value): Interval[] | undefined {
  const type = orderOf(value)
  const inclusive = op === 'lte' || op === 'gte'
  // Keys are of the elements of an array, so that they do not order arrays
  if (type === order.array) return undefined
  if (type === order.null || Number.isNaN(toNumber(value))) return inclusive ? [point(value)] : []
  const key = keyOf(value)
  const lo = type === order.number ? keyOf(NaN) : Buffer.from([type])
  return union([op === 'lt' || op === 'lte'
    ? { lo, includesLo: type !== order.number, hi: key, includesHi: inclusive }
    : { lo: key, includesLo: inclusive, hi: Buffer.from([type + 1]), includesHi: false }])
}

/** The bound of a condition on its own path, undefined if it says nothing of keys. */
function leafBound ({ op, value }: Leaf): Interval[] | undefined {
  switch (op) {
    case 'eq': return equalityBound(value)
    case 'in': {
      const values = value as Value[]
      return values.some((item) => item instanceof BSONRegExp) ? undefined : union(values.flatMap(equalityBound))
    }
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': return rangeBound(op, value)
    default: return undefined
  }
}

function boundsOf (filters: Filter[], path: string, multikey: boolean): Interval[][] {
  return filters.map((filter) => boundOf(filter, path, multikey)).filter((bound) => bound !== undefined)
}

/** The intervals in which every match of a condition has a key at the path, undefined for no bound. */
export function boundOf (filter: Filter, path: string, multikey: boolean): Interval[] | undefined {
  switch (filter.kind) {
    case 'leaf': return filter.path === path ? leafBound(filter) : undefined
    case 'and': return boundOfAll(filter.parts, path, multikey)
    case 'or': {
      const bounds = boundsOf(filter.parts, path, multikey)
      return bounds.length < filter.parts.length ? undefined : union(bounds.flat())
    }
    default: return undefined
  }
}

/**
 * The bound of conditions that all must hold. Each of them may be met by another element of an array, so that
 * there only one bound counts.
 */
export function boundOfAll (filters: Filter[], path: string, multikey: boolean): Interval[] | undefined {
  const found = boundsOf(filters, path, multikey)
  if (found.length === 0) return undefined
  if (!multikey) return found.reduce(intersection)
  const width = (bound: Interval[]): number => bound.every(isPoint) ? bound.length : Infinity
  return found.reduce((a, b) => width(b) < width(a) ? b : a)
}
