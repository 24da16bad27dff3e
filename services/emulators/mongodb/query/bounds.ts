import type { Value } from '../bson/bson.ts'
import type { Filter, Leaf } from './filter.ts'
import { keyOf, order, orderOf } from '../bson/keys.ts'

/** A stretch of ascending keys; `text` says it as explain does. */
export interface Interval {
  lo: Buffer
  loIn: boolean
  hi: Buffer
  hiIn: boolean
}

const lowest = Buffer.from([0])
const highest = Buffer.from([0xff])
export const everything: Interval = { lo: lowest, loIn: true, hi: highest, hiIn: false }

export const isPoint = (interval: Interval): boolean => interval.loIn && interval.hiIn && interval.lo.equals(interval.hi)

const point = (value: Value): Interval => {
  const key = keyOf(value)
  return { lo: key, loIn: true, hi: key, hiIn: true }
}

function compareLo (a: Interval, b: Interval): number {
  return Buffer.compare(a.lo, b.lo) || (a.loIn === b.loIn ? 0 : a.loIn ? -1 : 1)
}

function compareHi (a: Interval, b: Interval): number {
  return Buffer.compare(a.hi, b.hi) || (a.hiIn === b.hiIn ? 0 : a.hiIn ? 1 : -1)
}

const isEmpty = ({ lo, loIn, hi, hiIn }: Interval): boolean => {
  const c = Buffer.compare(lo, hi)
  return c > 0 || (c === 0 && !(loIn && hiIn))
}

export function union (intervals: Interval[]): Interval[] {
  const sorted = intervals.filter((interval) => !isEmpty(interval)).sort(compareLo)
  const merged: Interval[] = []
  for (const next of sorted) {
    const last = merged.at(-1)
    if (last === undefined) merged.push(next)
    else {
      const c = Buffer.compare(next.lo, last.hi)
      if (c > 0 || (c === 0 && !next.loIn && !last.hiIn)) merged.push(next)
      else if (compareHi(next, last) > 0) merged[merged.length - 1] = { ...last, hi: next.hi, hiIn: next.hiIn }
    }
  }
  return merged
}

export function intersect (left: Interval[], right: Interval[]): Interval[] {
  const out: Interval[] = []
  for (const a of left) {
    for (const b of right) {
      const from = compareLo(a, b) >= 0 ? a : b
      const to = compareHi(a, b) <= 0 ? a : b
      const both = { lo: from.lo, loIn: from.loIn, hi: to.hi, hiIn: to.hiIn }
      if (!isEmpty(both)) out.push(both)
    }
  }
  return union(out)
}

function complement (intervals: Interval[]): Interval[] {
  const out: Interval[] = []
  let { lo, loIn } = everything
  for (const interval of union(intervals)) {
    out.push({ lo, loIn, hi: interval.lo, hiIn: !interval.loIn })
    lo = interval.hi
    loIn = !interval.hiIn
  }
  out.push({ lo, loIn, hi: everything.hi, hiIn: false })
  return out.filter((interval) => !isEmpty(interval))
}

/** What a condition says of the keys of one path. Every match has a key within; if `exact`, every key within is of a match. */
export interface Bound {
  intervals: Interval[]
  exact: boolean
}

const inexact = (value: Value): boolean => {
  const type = orderOf(value)
  return type === order.array || type === order.undefined
}

function equality (value: Value): Interval[] {
  // an array equals the whole value of a field, or one element of it; the keys of the first are those of its elements
  return Array.isArray(value) ? [point(value), point(value[0])] : [point(value)]
}

function regexBound (leaf: { pattern: string, options: string }): Bound {
  // the character before a quantifier may be absent, so the prefix ends before it
  const sure = leaf.options === '' && !leaf.pattern.includes('|') ? /^\^([^\\^$.|?*+()[\]{}]+)(?![?*{])/.exec(leaf.pattern)?.[1] : undefined
  const regexes = { lo: Buffer.from([order.regex]), loIn: true, hi: Buffer.from([order.regex + 1]), hiIn: false }
  if (sure === undefined) return { intervals: [{ lo: Buffer.from([order.string]), loIn: true, hi: Buffer.from([order.string + 1]), hiIn: false }, regexes], exact: false }
  const key = keyOf(sure)
  const lo = key.subarray(0, key.length - 2)
  return { intervals: [{ lo, loIn: true, hi: Buffer.concat([lo, highest]), hiIn: false }, regexes], exact: false }
}

/** The bound of one condition on its own path, undefined if it says nothing of keys. */
function leafBound (leaf: Leaf): Bound | undefined {
  const { op, value } = leaf
  switch (op) {
    case 'eq':
      return { intervals: union(equality(value)), exact: !inexact(value) }
    case 'in': {
      const intervals: Interval[] = []
      let exact = true
      for (const item of value) {
        if (item?._bsontype === 'BSONRegExp') {
          intervals.push(...regexBound(item).intervals)
          exact = false
        } else {
          intervals.push(...equality(item))
          exact &&= !inexact(item)
        }
      }
      return { intervals: union(intervals), exact }
    }
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': return rangeBound(op, value)
    case 'regex': return regexBound(value)
    default: return undefined
  }
}

function rangeBound (op: 'lt' | 'lte' | 'gt' | 'gte', value: Value): Bound | undefined {
  const type = orderOf(value)
  const inclusive = op === 'lte' || op === 'gte'
  if (type === order.null) return { intervals: inclusive ? [point(null)] : [], exact: true }
  const key = keyOf(value)
  const below = op === 'lt' || op === 'lte'
  if (type === order.MinKey || type === order.MaxKey) {
    const interval = below ? { ...everything, hi: key, hiIn: inclusive } : { ...everything, lo: key, loIn: inclusive }
    return { intervals: union([interval]), exact: false }
  }
  // what equals an array or an object in part cannot be told from keys
  if (type === order.array) return undefined
  if (type === order.number) {
    const nan = keyOf(NaN)
    if (key.equals(nan)) return { intervals: inclusive ? [point(NaN)] : [], exact: true }
    return {
      intervals: union([below ? { lo: nan, loIn: false, hi: key, hiIn: inclusive } : { lo: key, loIn: inclusive, hi: Buffer.from([type + 1]), hiIn: false }]),
      exact: true
    }
  }
  return {
    intervals: union([below ? { lo: Buffer.from([type]), loIn: true, hi: key, hiIn: inclusive } : { lo: key, loIn: inclusive, hi: Buffer.from([type + 1]), hiIn: false }]),
    exact: true
  }
}

/** The conditions that all must hold. */
export function conjuncts (filter: Filter): Filter[] {
  return filter.kind === 'and' ? filter.parts.flatMap(conjuncts) : [filter]
}

/** The bound that one conjunct sets on a path, undefined for none. */
export function boundOf (filter: Filter, path: string, multikey: boolean): Bound | undefined {
  switch (filter.kind) {
    case 'leaf':
      if (filter.op === 'elemMatch') return elementBound(filter, path, multikey)
      return filter.path === path ? leafBound(filter) : undefined
    case 'and': return all(filter.parts, path, multikey)
    case 'or': {
      const intervals: Interval[] = []
      let exact = filter.parts.length > 0
      for (const part of filter.parts) {
        const bound = boundOf(part, path, multikey)
        if (bound === undefined) return undefined
        intervals.push(...bound.intervals)
        exact &&= bound.exact
      }
      return { intervals: union(intervals), exact }
    }
    case 'not': {
      const { part } = filter
      if (part.kind !== 'leaf' || part.path !== path || (part.op !== 'eq' && part.op !== 'in')) return undefined
      const bound = leafBound(part)
      const values: Value[] = part.op === 'eq' ? [part.value] : part.value
      const plain = values.every((value) => orderOf(value) !== order.array && value?._bsontype !== 'BSONRegExp' && !(value === null && multikey))
      return bound?.exact && plain ? { intervals: complement(bound.intervals), exact: !multikey } : undefined
    }
    default: return undefined
  }
}

/** The bounds of several conjuncts: of an array each may be met by another element, so that only one bound counts. */
export function all (filters: Filter[], path: string, multikey: boolean): Bound | undefined {
  const found = filters.map((filter) => boundOf(filter, path, multikey)).filter((bound) => bound !== undefined)
  if (found.length === 0) return undefined
  const exact = found.every((bound) => bound.exact)
  if (!multikey) return { intervals: found.map((bound) => bound.intervals).reduce(intersect), exact: exact && found.length === filters.length }
  const narrow = (bound: Bound): number => bound.intervals.every(isPoint) ? bound.intervals.length : 1000
  return { intervals: found.reduce((a, b) => narrow(b) < narrow(a) ? b : a).intervals, exact: false }
}

function elementBound (leaf: Leaf, path: string, multikey: boolean): Bound | undefined {
  if (leaf.inner === undefined) return undefined
  const below = leaf.path === path ? '' : path.startsWith(`${leaf.path}.`) ? path.slice(leaf.path.length + 1) : undefined
  if (below === undefined || !multikey) return undefined
  // one element meets them all; a further array below it is not known to be none
  const found = conjuncts(leaf.inner).map((part) => boundOf(part, below, true)).filter((bound) => bound !== undefined)
  if (found.length === 0) return undefined
  const intervals = below === '' ? found.map((bound) => bound.intervals).reduce(intersect) : all(conjuncts(leaf.inner), below, true)!.intervals
  return { intervals, exact: false }
}

function showKey (key: Buffer): string {
  if (key.equals(lowest)) return 'MinKey'
  if (key.equals(highest)) return 'MaxKey'
  switch (key[0]) {
    case order.null: return 'null'
    case order.bool: return String(key[1] === 1)
    case order.string: return JSON.stringify(key.subarray(1, -2).toString())
    case order.number: {
      const bytes = Buffer.from(key.subarray(1, 9))
      if (bytes.length < 8) return '...'
      if (bytes[0]! & 0x80) bytes[0]! &= 0x7f
      else for (let i = 0; i < 8; i++) bytes[i] = ~bytes[i]!
      const number = bytes.readDoubleBE()
      return Number.isInteger(number) ? number.toFixed(1) : String(number)
    }
    default: return '...'
  }
}

/** An interval as explain shows it, in the direction of its index. */
export function showInterval ({ lo, loIn, hi, hiIn }: Interval, direction: number): string {
  const [from, to] = [showKey(lo), showKey(hi)]
  const last = hiIn || hi === everything.hi
  return direction > 0 ? `${loIn ? '[' : '('}${from}, ${to}${last ? ']' : ')'}` : `${last ? '[' : '('}${to}, ${from}${loIn ? ']' : ')'}`
}
