import type { Bound, Interval } from './bounds.ts'
import { all, boundOf, conjuncts, everything, intersect, isPoint } from './bounds.ts'
import type { Doc, Value } from '../bson/bson.ts'
import { isDocument, toNumber } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'
import type { Filter, Leaf } from './filter.ts'
import type { KeyPart } from '../bson/keys.ts'
import { compare, invert, keyOf } from '../bson/keys.ts'
import type { Collection, Index } from '../storage/storage.ts'

/** Keys from `lo` to before `hi`, whose first `prefix` bytes are the same in all of them. */
export interface Range {
  lo: Buffer
  hi: Buffer
  prefix: number
}

/** How documents are found. `index` null walks the collection. */
export interface Plan {
  index: Index | null
  ranges: Range[]
  reverse: boolean
  /** Whether documents come in the wanted order. */
  sorted: boolean
  /** Whether the order needs the ranges merged, rather than one after another. */
  merge: boolean
  /** Whether every entry in the ranges is a match, so that no document need be looked at. */
  exact: boolean
  /** Whether every condition narrows the ranges, so that few entries in them can be no match. */
  covered: boolean
  bounds: Interval[][]
  /** Plans of which the union is wanted, one for each branch of an $or. */
  branches?: Plan[]
  /** The way to go on once this one has walked more than was expected of it by far. */
  fallback?: { plan: Plan, after: number }
}

export interface Wanted {
  filter: Filter
  sort: KeyPart[]
  /** How many documents will be taken at most, skipped ones included. */
  limit: number
  hint?: Value
}

const maxRanges = 500
const maxMerged = 64

function bytesOf (interval: Interval, direction: number): [Buffer, Buffer] {
  const after = (key: Buffer): Buffer => Buffer.concat([key, top])
  if (direction > 0) {
    return [interval.loIn ? interval.lo : after(interval.lo), interval.hiIn ? after(interval.hi) : interval.hi]
  }
  const lo = invert(interval.hi)
  const hi = invert(interval.lo)
  return [interval.hiIn ? lo : after(lo), interval.loIn ? after(hi) : hi]
}

const top = Buffer.from([0xff])

/** Whether two parts of an index go through one array, so that an entry's two values are of one element. */
function shareArray (index: Index, i: number, j: number): boolean {
  const a = index.parts[i]!.names
  const b = index.parts[j]!.names
  let common = 0
  while (common < a.length && common < b.length && a[common] === b[common]) common++
  for (const depths of [index.arrays[i]!, index.arrays[j]!]) for (const depth of depths) if (depth <= common) return true
  return false
}

const nullPoint: Interval[] = [{ lo: keyOf(null), loIn: true, hi: keyOf(null), hiIn: true }]

function implied (condition: Filter, conditions: Filter[]): boolean {
  if (condition.kind !== 'leaf') return false
  return conditions.some((given) => {
    if (given.kind !== 'leaf' || given.path !== condition.path) return false
    if (given.op === condition.op && compare(given.value, condition.value) === 0) return true
    if (given.op === 'eq' && !Array.isArray(given.value)) return condition.test(given.value)
    if (given.op === 'in') return given.value.every((value: Value) => !Array.isArray(value) && value?._bsontype !== 'BSONRegExp' && condition.test(value))
    if (condition.op === 'exists') return isComparison(given) && given.value !== null
    const lower = (leaf: Leaf): boolean => leaf.op === 'gt' || leaf.op === 'gte'
    const upper = (leaf: Leaf): boolean => leaf.op === 'lt' || leaf.op === 'lte'
    if ((lower(given) && lower(condition)) || (upper(given) && upper(condition))) {
      return condition.test(given.value) || (given.op === condition.op && compare(given.value, condition.value) === 0)
    }
    return false
  })
}

const isComparison = (leaf: Leaf): boolean => leaf.op === 'lt' || leaf.op === 'lte' || leaf.op === 'gt' || leaf.op === 'gte'

/** The plan that an index offers; undefined if it neither narrows nor orders, or lacks documents that may match. */
function candidate (index: Index, wanted: Wanted, conditions: Filter[], forced: boolean): Plan | undefined {
  const { parts } = index
  const bounds: Array<Bound | undefined> = []
  for (let i = 0; i < parts.length; i++) {
    const conflict = bounds.some((earlier, j) => earlier !== undefined && shareArray(index, i, j))
    bounds.push(conflict ? undefined : all(conditions, parts[i]!.path, index.arrays[i]!.size > 0))
    if (i === 0 && bounds[0] === undefined && !forced && wanted.sort.length === 0) return undefined
  }
  if (!forced) {
    if (index.sparse && !bounds.some((bound) => bound !== undefined && intersect(bound.intervals, nullPoint).length === 0)) return undefined
    if (index.partial !== undefined && !conjuncts(index.partial).every((condition) => implied(condition, conditions))) return undefined
  }

  let prefixes: Buffer[] = [Buffer.alloc(0)]
  let ranges: Range[] | undefined
  let used = 0
  for (; used < parts.length && ranges === undefined; used++) {
    const intervals = bounds[used]?.intervals
    const { direction } = parts[used]!
    if (intervals === undefined) break
    if (intervals.every(isPoint) && prefixes.length * intervals.length <= maxRanges) {
      prefixes = prefixes.flatMap((prefix) => intervals.map((interval) => Buffer.concat([prefix, direction > 0 ? interval.lo : invert(interval.lo)])))
    } else {
      ranges = prefixes.flatMap((prefix) => intervals.map((interval) => {
        const [lo, hi] = bytesOf(interval, direction)
        return { lo: Buffer.concat([prefix, lo]), hi: Buffer.concat([prefix, hi]), prefix: prefix.length }
      }))
    }
  }
  ranges ??= prefixes.map((prefix) => ({ lo: prefix, hi: Buffer.concat([prefix, top]), prefix: prefix.length }))
  ranges.sort((a, b) => Buffer.compare(a.lo, b.lo))

  const single = (i: number): boolean => i < used && bounds[i]!.intervals.length === 1 && isPoint(bounds[i]!.intervals[0]!) && index.arrays[i]!.size === 0
  const sort = wanted.sort.filter(({ path }) => !parts.some((part, i) => part.path === path && single(i)))
  let matched = 0
  let direction = 0
  let merge = false
  for (let i = 0; i < parts.length && matched < sort.length; i++) {
    if (sort[matched]!.path === parts[i]!.path) {
      const factor = sort[matched]!.direction * parts[i]!.direction
      if (direction !== 0 && factor !== direction) break
      // the order of a multikey index is by a document's first key overall, not by its first key in the bounds
      if (index.arrays[i]!.size > 0 && bounds.some((bound) => bound !== undefined)) break
      direction = factor
      matched++
    } else if (single(i)) continue
    else if (matched === 0 && i < used && bounds[i]!.intervals.every(isPoint) && ranges.length <= maxMerged) merge = true
    else break
  }
  const sorted = matched === sort.length
  if (used === 0 && !forced && !(sorted && wanted.sort.length > 0)) return undefined

  const covered = parts.slice(0, used)
  const exact = !index.multikey && conditions.every((condition) => covered.some((part) => boundOf(condition, part.path, false)?.exact === true))
  const covers = (condition: Filter): boolean => covered.some((part, i) => boundOf(condition, part.path, index.arrays[i]!.size > 0) !== undefined)
  return {
    index,
    ranges,
    reverse: sorted && direction < 0,
    sorted,
    merge: sorted && merge && ranges.length > 1,
    exact,
    covered: conditions.every(covers),
    bounds: parts.map((_, i) => bounds[i]?.intervals ?? [everything])
  }
}

const isFull = (plan: Plan): boolean => plan.ranges.length === 1 && plan.ranges[0]!.lo.length === 0

/** One document at most: a unique index with one value for each part. */
const isLookup = (plan: Plan): boolean => plan.index!.unique && !plan.index!.multikey && plan.bounds.every((intervals) => intervals.length === 1 && isPoint(intervals[0]!))

function collectionScan (wanted: Wanted, reverse = false): Plan {
  const exact = wanted.filter.kind === 'and' && wanted.filter.parts.length === 0
  return { index: null, ranges: [], reverse, sorted: wanted.sort.length === 0, merge: false, exact, covered: exact, bounds: [] }
}

/** The index that a hint names. Throws BadValue for one that does not exist. */
export function hinted (collection: Collection | undefined, hint: Value): Index | undefined {
  if (isDocument(hint)) {
    const names = Object.keys(hint)
    if (names.length === 0 || names[0] === '$natural') return undefined
  } else if (typeof hint !== 'string') throw new CommandError('FailedToParse', 'Hint must be a string or an object')
  const found = collection?.indexes.find((index) => typeof hint === 'string'
    ? index.name === hint
    : JSON.stringify(Object.entries(index.spec.key)) === JSON.stringify(Object.entries(hint).map(([k, v]) => [k, toNumber(v) ?? v])))
  if (found === undefined && collection !== undefined) throw new CommandError('BadValue', 'error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index')
  return found
}

/**
 * Chooses how to find documents by the number of index entries that each way would walk.
 * A way that delivers the wanted order stops at the limit; one that does not walks all its entries.
 */
export function choose (collection: Collection, wanted: Wanted): Plan {
  const conditions = conjuncts(wanted.filter)
  if (wanted.hint !== undefined) {
    const index = hinted(collection, wanted.hint)
    if (index !== undefined) return candidate(index, wanted, conditions, true)!
    const natural = isDocument(wanted.hint) ? toNumber((wanted.hint as Doc).$natural) : undefined
    if (natural !== undefined) return collectionScan(wanted, natural < 0)
  }
  const plans: Plan[] = []
  for (const index of collection.indexes) {
    if (index.spec.hidden === true) continue
    const plan = candidate(index, wanted, conditions, false)
    if (plan === undefined) continue
    if (isLookup(plan)) return { ...plan, sorted: true }
    plans.push(plan)
  }
  for (const condition of conditions) {
    const plan = condition.kind === 'or' ? unionPlan(collection, wanted, conditions, condition) : undefined
    if (plan !== undefined) plans.push(plan)
  }
  if (plans.length === 0) return collectionScan(wanted)
  return plans.length === 1 ? plans[0]! : cheapest(collection, plans, wanted)
}

function unionPlan (collection: Collection, wanted: Wanted, conditions: Filter[], or: Filter & { kind: 'or' | 'and' | 'nor' }): Plan | undefined {
  if (or.parts.length === 0 || or.parts.length > 50) return undefined
  const rest = conditions.filter((condition) => condition !== or)
  const branches: Plan[] = []
  for (const part of or.parts) {
    const filter: Filter = { kind: 'and', parts: [...conjuncts(part), ...rest] }
    const own = conjuncts(part)
    const plans = collection.indexes
      .filter((index) => own.some((condition) => boundOf(condition, index.parts[0]!.path, index.arrays[0]!.size > 0) !== undefined))
      .map((index) => candidate(index, { filter, sort: [], limit: Infinity }, filter.parts, false))
      .filter((plan) => plan !== undefined)
    if (plans.length === 0) return undefined
    branches.push(plans.length === 1 ? plans[0]! : cheapest(collection, plans, { filter, sort: [], limit: Infinity }))
  }
  return { index: null, ranges: [], reverse: false, sorted: wanted.sort.length === 0, merge: false, exact: false, covered: true, bounds: [], branches }
}

function countEntries (collection: Collection, plan: Plan, cap: number): number {
  if (plan.branches !== undefined) {
    let n = 0
    for (const branch of plan.branches) n += countEntries(collection, branch, cap)
    return n
  }
  if (isFull(plan)) return Math.max(collection.count, 1)
  let n = 0
  for (const range of plan.ranges) {
    n += collection.entries(plan.index!, range.lo, range.hi, cap - n)
    if (n >= cap) break
  }
  return n
}

/** Whether a plan walks less than half of what a walk of everything would. */
export function narrower (collection: Collection, plan: Plan): boolean {
  const total = collection.count
  return countEntries(collection, plan, total) * 2 < total
}

function cheapest (collection: Collection, plans: Plan[], wanted: Wanted): Plan {
  const total = Math.max(collection.count, 1)
  const counts = plans.map((plan) => plan.branches === undefined && isFull(plan) ? total : -1)
  for (let cap = 64; ; cap *= 4) {
    let matching = cap
    for (let i = 0; i < plans.length; i++) {
      if (counts[i]! < 0) {
        const n = countEntries(collection, plans[i]!, cap)
        if (n < cap || cap >= total * 4) counts[i] = n
      }
      if (counts[i]! >= 0) matching = Math.min(matching, counts[i]!)
    }
    let best = 0
    let lowest = Infinity
    for (let i = 0; i < plans.length; i++) {
      const plan = plans[i]!
      const n = counts[i]! < 0 ? total : counts[i]!
      let cost = wanted.sort.length > 0 && !plan.sorted ? n * 1.2 : n
      if (plan.sorted && wanted.limit < Infinity) cost = Math.min(n, plan.exact ? wanted.limit : plan.covered ? wanted.limit * 2 : wanted.limit * n / Math.max(matching, 1))
      // of equal ones the index with more fields bound, then the narrower one
      const tie = (plan.index === null ? 1 : 0) - bounded(plan) * 0.01 + (plan.index?.parts.length ?? 0) * 0.0001 + (plan.sorted ? 0 : 0.5)
      if (cost + tie < lowest) {
        lowest = cost + tie
        best = i
      }
    }
    // to count further would cost more than the way found
    if (lowest <= Math.max(cap, Math.min(wanted.limit * 2 + 1, 1000)) || counts.every((n) => n >= 0)) {
      const plan = plans[best]!
      if (!plan.sorted || plan.exact || wanted.sort.length === 0 || wanted.limit === Infinity) return plan
      const others = plans.map((other, i) => ({ plan: other, n: counts[i]! < 0 ? Infinity : counts[i]! })).filter((other) => !other.plan.sorted)
      if (others.length === 0) return plan
      // the estimate supposes that matches lie evenly in the order, which they need not
      const fallback = others.reduce((a, b) => b.n < a.n ? b : a)
      return { ...plan, fallback: { plan: fallback.plan, after: Math.max(1000, 4 * lowest) } }
    }
  }
}

const bounded = (plan: Plan): number => plan.bounds.filter((intervals) => intervals[0] !== everything).length
