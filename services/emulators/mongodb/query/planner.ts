import type { KeyPart } from '../bson/keys.ts'
import { compare, invert } from '../bson/keys.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import type { Collection, KeyRange } from '../storage/collection.ts'
import type { Index } from '../storage/indexes.ts'
import { allOf, conjuncts } from './filter.ts'
import type { Filter } from './filter.ts'
import type { Search } from './finder.ts'
import { everything, intersection, isPoint, union } from './intervals.ts'
import type { Interval } from './intervals.ts'

/** How documents are found. */
export interface Plan {
  /** Null for a walk through the collection. */
  index: Index | null
  ranges: KeyRange[]
  reverse: boolean
  /** Whether documents come in the wanted order. */
  sorted: boolean
  /** What documents in the ranges still have to meet. */
  rest: Filter
  /** The intervals of each part of the index. */
  bounds: Interval[][]
}

const maxRanges = 500
/** The most index entries that are counted to compare plans. */
const maxCounted = 4096
const top = Buffer.from([0xff])

/**
 * Chooses how to find documents by the number of index entries that each plan would read. A plan in the
 * wanted order stops at the limit; another one reads all its entries. Throws BadValue for a hint to no index.
 */
export function choosePlan (collection: Collection, wanted: Search): Plan {
  const conditions = conjuncts(wanted.filter)
  if (wanted.hint !== undefined) return hintedPlan(collection, wanted, conditions)
  const plans: Plan[] = []
  for (const index of collection.indexes) {
    const plan = planWith(index, wanted, conditions)
    if (findsOne(plan)) return { ...plan, sorted: true }
    if (plan.bounds[0]![0] !== everything || (plan.sorted && wanted.sort.length > 0)) plans.push(plan)
  }
  return plans.length > 1 ? cheapest(collection, plans, wanted) : plans[0] ?? collectionScan(wanted)
}

function collectionScan ({ sort, filter }: Search): Plan {
  const ranges = [{ lo: Buffer.alloc(0), hi: top }]
  return { index: null, ranges, reverse: false, sorted: sort.length === 0, rest: filter, bounds: [] }
}

function hintedPlan (collection: Collection, wanted: Search, conditions: Filter[]): Plan {
  const { hint } = wanted
  if (typeof hint !== 'string' && !isDocument(hint)) {
    throw new CommandError('FailedToParse', 'Hint must be a string or an object')
  }
  if (isDocument(hint) && Object.hasOwn(hint, '$natural')) {
    if (toNumber(hint.$natural) !== 1) throw notSupported('a $natural other than 1')
    return collectionScan(wanted)
  }
  const found = collection.indexes.find(({ name, pattern }) => (
    typeof hint === 'string' ? name === hint : compare(pattern, hint) === 0
  ))
  if (found !== undefined) return planWith(found, wanted, conditions)
  throw new CommandError('BadValue', 'error processing query: planner returned error :: caused by :: ' +
    'hint provided does not correspond to an existing index')
}

function planWith (index: Index, wanted: Search, conditions: Filter[]): Plan {
  const bounds = boundsOf(index, conditions)
  const { ranges, used } = rangesOf(index, bounds)
  const { sorted, reverse } = orderOf(index, bounds.slice(0, used), wanted.sort)
  const rest = allOf(conditions.filter((condition) => !isEnsured(index, bounds.slice(0, used), condition)))
  return { index, ranges, reverse, sorted, rest, bounds: bounds.map((bound) => bound ?? [everything]) }
}

/** Whether all documents in the bounds meet a condition: one that a field, or an element, equals a string. */
function isEnsured ({ parts }: Index, bounds: Bounds, condition: Filter): boolean {
  if (condition.kind !== 'leaf' || typeof condition.equals !== 'string') return false
  return bounds.some((bound, i) => bound === condition.bound && parts[i]!.path === condition.path)
}

function boundsAt (filters: Filter[], path: string, multikey: boolean): Interval[][] {
  return filters.map((filter) => boundOf(filter, path, multikey)).filter((bound) => bound !== undefined)
}

/** The intervals in which every match of a condition has a key at the path, undefined for no bound. */
function boundOf (filter: Filter, path: string, multikey: boolean): Interval[] | undefined {
  switch (filter.kind) {
    case 'leaf': return filter.path === path ? filter.bound : undefined
    case 'and': return boundOfAll(filter.parts, path, multikey)
    case 'or': {
      const bounds = boundsAt(filter.parts, path, multikey)
      return bounds.length < filter.parts.length ? undefined : union(bounds.flat())
    }
    default: return undefined
  }
}

/**
 * The bound of conditions that all must hold. Each of them may be met by another element of an array, so that
 * there only one bound counts.
 */
function boundOfAll (filters: Filter[], path: string, multikey: boolean): Interval[] | undefined {
  const found = boundsAt(filters, path, multikey)
  if (found.length === 0) return undefined
  if (!multikey) return found.reduce(intersection)
  const width = (bound: Interval[]): number => bound.every(isPoint) ? bound.length : Infinity
  return found.reduce((a, b) => width(b) < width(a) ? b : a)
}

type Bounds = Array<Interval[] | undefined>

/** The bound of each part, none for parts of one array but the first: another element may meet them. */
function boundsOf (index: Index, conditions: Filter[]): Bounds {
  const bounds: Bounds = []
  for (const [i, { path }] of index.parts.entries()) {
    const conflict = index.multikey && bounds.some((bound, j) => bound && shareField(index, i, j))
    bounds.push(conflict ? undefined : boundOfAll(conditions, path, index.arrays.has(i)))
  }
  return bounds
}

/** Whether two parts may go through one array, so that the values of an entry are of one element. */
function shareField ({ parts }: Index, i: number, j: number): boolean {
  return parts[i]!.names[0] === parts[j]!.names[0]
}

/** The ranges of the compound key: points of the first parts, then the intervals of one more. */
function rangesOf (index: Index, bounds: Bounds): { ranges: KeyRange[], used: number } {
  let prefixes: Buffer[] = [Buffer.alloc(0)]
  let used = 0
  for (const [i, { direction }] of index.parts.entries()) {
    const intervals = bounds[i]
    if (intervals === undefined) break
    used++
    if (!intervals.every(isPoint) || prefixes.length * intervals.length > maxRanges) {
      const ranges = prefixes.flatMap((prefix) => intervals.map((each) => rangeOf(prefix, each, direction)))
      return { ranges: inOrder(ranges), used }
    }
    const parts = intervals.map(({ lo }) => direction > 0 ? lo : invert(lo))
    prefixes = prefixes.flatMap((prefix) => parts.map((part) => Buffer.concat([prefix, part])))
  }
  const ranges = prefixes.map((prefix) => ({ lo: prefix, hi: Buffer.concat([prefix, top]) }))
  return { ranges: inOrder(ranges), used }
}

const inOrder = (ranges: KeyRange[]): KeyRange[] => ranges.sort((a, b) => Buffer.compare(a.lo, b.lo))

function rangeOf (prefix: Buffer, { lo, includesLo, hi, includesHi }: Interval, direction: number): KeyRange {
  const after = (key: Buffer, isAfter: boolean): Buffer =>
    Buffer.concat(isAfter ? [prefix, key, top] : [prefix, key])
  if (direction > 0) return { lo: after(lo, !includesLo), hi: after(hi, includesHi) }
  return { lo: after(invert(hi), !includesHi), hi: after(invert(lo), includesLo) }
}

/** Whether an index gives the order of a sort, and in which direction. */
function orderOf (index: Index, bounds: Bounds, sort: KeyPart[]): { sorted: boolean, reverse: boolean } {
  const isFixed = (i: number): boolean => {
    const intervals = bounds[i]
    return intervals?.length === 1 && isPoint(intervals[0]!)
  }
  // Of an array, only the keys in the bounds are equal: it sorts by another element, which may be outside
  const left = sort.filter(({ path }) => {
    return !index.parts.some((part, i) => part.path === path && isFixed(i) && !index.arrays.has(i))
  })
  let direction = 0
  let matched = 0
  for (const [i, part] of index.parts.entries()) {
    const next = left[matched]
    if (next === undefined) break
    if (next.path === part.path) {
      const factor = next.direction * part.direction
      if (direction !== 0 && factor !== direction) break
      // It orders arrays by their first key overall, not by their first key in the bounds
      if (index.arrays.has(i) && bounds.length > 0) break
      direction = factor
      matched++
    } else if (!isFixed(i)) break
  }
  const sorted = matched === left.length
  return { sorted, reverse: sorted && direction < 0 }
}

/** Whether a plan finds one document at most: a unique index with one value for each part. */
function findsOne ({ index, bounds }: Plan): boolean {
  return index!.unique && !index!.multikey &&
    bounds.every((intervals) => intervals.length === 1 && isPoint(intervals[0]!))
}

function cheapest (collection: Collection, plans: Plan[], wanted: Search): Plan {
  const counts = plans.map(({ index, ranges }) => {
    let n = ranges[0]?.lo.length === 0 ? maxCounted : 0
    for (const range of ranges) n += collection.entries(index!, range, maxCounted - n)
    return n < maxCounted ? n : Math.max(collection.count, 1)
  })
  const matching = Math.max(Math.min(...counts), 1)
  const costs = plans.map((plan, i) => costOf(plan, counts[i]!, matching, wanted))
  return plans[costs.indexOf(Math.min(...costs))]!
}

/** The entries that a plan reads, of `entries` in its ranges, where `matching` documents match. */
function costOf (plan: Plan, entries: number, matching: number, { sort, limit }: Search): number {
  let cost = sort.length > 0 && !plan.sorted ? entries * 1.2 : entries
  if (plan.sorted && limit < Infinity) {
    cost = Math.min(entries, limit * entries / matching)
  }
  // Of equal ones the index with more fields bound, then the narrower one
  const bounded = plan.bounds.filter((intervals) => intervals[0] !== everything).length
  return cost - bounded * 0.01 + plan.index!.parts.length * 0.0001 + (plan.sorted ? 0 : 0.5)
}
