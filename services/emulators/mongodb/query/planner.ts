import type { KeyPart } from '../bson/keys.ts'
import { compare, invert } from '../bson/keys.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Collection } from '../storage/collection.ts'
import type { Index } from '../storage/indexes.ts'
import { boundOf, boundOfAll, everything, isPoint } from './bounds.ts'
import type { Bound, Interval } from './bounds.ts'
import { conjuncts } from './filter.ts'
import type { Filter } from './filter.ts'

/** Keys from `lo` to before `hi`. */
export interface Range { lo: Buffer, hi: Buffer }

/** How documents are found. */
export interface Plan {
  /** Null for a walk through the collection. */
  index: Index | null
  ranges: Range[]
  reverse: boolean
  /** Whether documents come in the wanted order. */
  sorted: boolean
  /** Whether every entry in the ranges is a match, so that no document need be read. */
  exact: boolean
  /** Whether every condition narrows the ranges, so that few entries in them can be no match. */
  covered: boolean
  /** The intervals of each part of the index. */
  bounds: Interval[][]
}

export interface Wanted {
  filter: Filter
  sort: KeyPart[]
  /** How many documents will be taken at most, skipped ones included. */
  limit: number
  hint: Value
}

const maxRanges = 500
const top = Buffer.from([0xff])

/**
 * Chooses how to find documents by the number of index entries that each way would read. A way that gives the
 * wanted order stops at the limit; one that does not reads all its entries. Throws BadValue for a hint to no
 * index.
 */
export function choosePlan (collection: Collection, wanted: Wanted): Plan {
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

function collectionScan ({ filter, sort }: Wanted, reverse = false): Plan {
  const exact = filter.kind === 'and' && filter.parts.length === 0
  return { index: null, ranges: [], reverse, sorted: sort.length === 0, exact, covered: exact, bounds: [] }
}

function hintedPlan (collection: Collection, wanted: Wanted, conditions: Filter[]): Plan {
  const { hint } = wanted
  if (typeof hint !== 'string' && !isDocument(hint)) {
    throw new CommandError('FailedToParse', 'Hint must be a string or an object')
  }
  if (isDocument(hint) && hint.$natural !== undefined) {
    return collectionScan(wanted, toNumber(hint.$natural)! < 0)
  }
  const found = collection.indexes.find(({ name, pattern }) => (
    typeof hint === 'string' ? name === hint : compare(pattern, hint) === 0
  ))
  if (found !== undefined) return planWith(found, wanted, conditions)
  throw new CommandError('BadValue', 'error processing query: planner returned error :: caused by :: ' +
    'hint provided does not correspond to an existing index')
}

function planWith (index: Index, wanted: Wanted, conditions: Filter[]): Plan {
  const bounds = boundsOf(index, conditions)
  const { ranges, used } = rangesOf(index, bounds)
  const { sorted, reverse } = orderOf(index, bounds.slice(0, used), wanted.sort)
  const parts = index.parts.slice(0, used)
  const isExact = (condition: Filter): boolean =>
    parts.some(({ path }) => boundOf(condition, path, false)?.exact === true)
  const narrows = (condition: Filter): boolean =>
    parts.some(({ path }) => boundOf(condition, path, index.multikey) !== undefined)
  return {
    index,
    ranges,
    reverse,
    sorted,
    exact: !index.multikey && conditions.every(isExact),
    covered: conditions.every(narrows),
    bounds: bounds.map((bound) => bound?.intervals ?? [everything])
  }
}

/**
 * The bound of each part. Parts that share an array with a bounded one have none: another element may meet
 * them.
 */
function boundsOf (index: Index, conditions: Filter[]): Array<Bound | undefined> {
  const bounds: Array<Bound | undefined> = []
  for (const [i, { path }] of index.parts.entries()) {
    const conflict = bounds.some((bound, j) => bound !== undefined && shareArray(index, i, j))
    bounds.push(conflict ? undefined : boundOfAll(conditions, path, index.arrays[i]!.size > 0))
  }
  return bounds
}

/** Whether two parts go through one array, so that the values of an entry are of one element. */
function shareArray (index: Index, i: number, j: number): boolean {
  const [a, b] = [index.parts[i]!.names, index.parts[j]!.names]
  let common = 0
  while (common < a.length && common < b.length && a[common] === b[common]) common++
  return [...index.arrays[i]!, ...index.arrays[j]!].some((depth) => depth <= common)
}

/** The ranges of the compound key: points of the first parts, then the intervals of one more. */
function rangesOf (index: Index, bounds: Array<Bound | undefined>): { ranges: Range[], used: number } {
  let prefixes: Buffer[] = [Buffer.alloc(0)]
  let used = 0
  for (const [i, { direction }] of index.parts.entries()) {
    const intervals = bounds[i]?.intervals
    if (intervals === undefined) break
    used++
    if (!intervals.every(isPoint) || prefixes.length * intervals.length > maxRanges) {
      const ranges = prefixes.flatMap((prefix) => (
        intervals.map((interval) => rangeOf(prefix, interval, direction))
      ))
      return { ranges: inOrder(ranges), used }
    }
    prefixes = prefixes.flatMap((prefix) => intervals.map(({ lo }) => (
      Buffer.concat([prefix, direction > 0 ? lo : invert(lo)])
    )))
  }
  return {
    ranges: inOrder(prefixes.map((prefix) => ({ lo: prefix, hi: Buffer.concat([prefix, top]) }))),
    used
  }
}

const inOrder = (ranges: Range[]): Range[] => ranges.sort((a, b) => Buffer.compare(a.lo, b.lo))

function rangeOf (prefix: Buffer, { lo, includesLo, hi, includesHi }: Interval, direction: number): Range {
  const after = (key: Buffer, isAfter: boolean): Buffer =>
    Buffer.concat(isAfter ? [prefix, key, top] : [prefix, key])
  if (direction > 0) return { lo: after(lo, !includesLo), hi: after(hi, includesHi) }
  return { lo: after(invert(hi), !includesHi), hi: after(invert(lo), includesLo) }
}

/** Whether an index gives the order of a sort, and in which direction. */
function orderOf (
  index: Index, bounds: Array<Bound | undefined>, sort: KeyPart[]
): { sorted: boolean, reverse: boolean } {
  const isFixed = (i: number): boolean => {
    const intervals = bounds[i]?.intervals
    return intervals?.length === 1 && isPoint(intervals[0]!) && index.arrays[i]!.size === 0
  }
  const left = sort.filter(({ path }) => !index.parts.some((part, i) => part.path === path && isFixed(i)))
  let direction = 0
  let matched = 0
  for (const [i, part] of index.parts.entries()) {
    const next = left[matched]
    if (next === undefined) break
    if (next.path === part.path) {
      const factor = next.direction * part.direction
      if (direction !== 0 && factor !== direction) break
      // a multikey index orders by a document's first key overall, not by its first key in the bounds
      if (index.arrays[i]!.size > 0 && bounds.length > 0) break
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

function countEntries (collection: Collection, { index, ranges }: Plan, cap: number): number {
  let n = 0
  for (const range of ranges) {
    n += collection.entries(index!, range, cap - n)
    if (n >= cap) break
  }
  return n
}

/**
 * Counts the entries of the plans, each time further, until counting on would cost more than the best plan.
 */
function cheapest (collection: Collection, plans: Plan[], wanted: Wanted): Plan {
  const total = Math.max(collection.count, 1)
  const isFull = ({ ranges: [range] }: Plan): boolean => range?.lo.length === 0
  const counts = plans.map((plan) => isFull(plan) ? total : undefined)
  for (let cap = 64; ; cap *= 4) {
    for (const [i, plan] of plans.entries()) {
      if (counts[i] !== undefined) continue
      const n = countEntries(collection, plan, cap)
      if (n < cap || cap >= total * 4) counts[i] = n
    }
    const matching = Math.min(cap, ...counts.filter((n) => n !== undefined))
    const costs = plans.map((plan, i) => costOf(plan, counts[i] ?? total, matching, wanted))
    const lowest = Math.min(...costs)
    const enough = lowest <= Math.max(cap, Math.min(wanted.limit * 2 + 1, 1000))
    if (enough || counts.every((n) => n !== undefined)) return plans[costs.indexOf(lowest)]!
  }
}

/**
 * The entries that a plan reads, of `entries` in its ranges and with `matching` documents expected in all.
 */
function costOf (plan: Plan, entries: number, matching: number, { sort, limit }: Wanted): number {
  let cost = sort.length > 0 && !plan.sorted ? entries * 1.2 : entries
  if (plan.sorted && limit < Infinity) {
    const expected = plan.exact ? limit : plan.covered ? limit * 2 : limit * entries / Math.max(matching, 1)
    cost = Math.min(entries, expected)
  }
  // of equal ones the index with more fields bound, then the narrower one
  const bounded = plan.bounds.filter((intervals) => intervals[0] !== everything).length
  return cost - bounded * 0.01 + plan.index!.parts.length * 0.0001 + (plan.sorted ? 0 : 0.5)
}
