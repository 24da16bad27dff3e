import { BSONRegExp } from 'bson'
import { keyOf, order, orderOf } from '../bson/keys.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError, bad } from '../errors.ts'
import { contains, point, union } from './intervals.ts'
import type { Interval } from './intervals.ts'
import { compileRegex } from './regex.ts'

type Test = (value: Value) => boolean

/** What one operator demands of a value. */
export interface Condition {
  /** Tests one value; undefined stands for a missing field. */
  test: Test
  /** Whether the elements of an array at the end of the path are tested as well as the array. */
  elements: boolean
  /** Intervals in which every value that passes has a key, undefined if there are none. */
  bound?: Interval[]
  /** The value of an equality, which an upsert copies. */
  equals?: Value
}

export function equals (value: Value): Condition {
  if (value instanceof BSONRegExp) bad("Can't have regex as arg to $ne.")
  if (value === undefined) bad('cannot compare to undefined')
  return { ...oneOf([value]), equals: value }
}

/** A missing field equals null. */
function oneOf (values: Value[]): Condition {
  const text = (value: Value): string => keyOf(value ?? null).toString('latin1')
  const keys = new Set(values.map(text))
  // An array equals the whole value of a field, or one element of it; the keys of the first are those of its
  // elements
  const keysOf = values.flatMap((value) => Array.isArray(value) ? [value, value[0]] : [value])
  return { test: (value) => keys.has(text(value)), elements: true, bound: union(keysOf.map(point)) }
}

/** Comparisons hold between values of one type only; NaN is of a type of its own. */
export function compares (name: '$lt' | '$lte' | '$gt' | '$gte', value: Value): Condition {
  if (value === undefined) bad('cannot compare to undefined')
  const type = orderOf(value)
  const inclusive = name.endsWith('e')
  if (type === order.null || Number.isNaN(toNumber(value))) {
    return inclusive ? oneOf([value]) : { test: () => false, elements: true, bound: [] }
  }
  const key = keyOf(value)
  const lo = type === order.number ? keyOf(NaN) : Buffer.from([type])
  const interval = name.startsWith('$lt')
    ? { lo, includesLo: type !== order.number, hi: key, includesHi: inclusive }
    : { lo: key, includesLo: inclusive, hi: Buffer.from([type + 1]), includesHi: false }
  const test: Test = (other) => other !== undefined && contains(interval, keyOf(other))
  // Keys are of the elements of an array, so that they do not order arrays
  return { test, elements: true, ...(type !== order.array && { bound: union([interval]) }) }
}

export function anyOf (name: string, values: Value): Condition {
  if (!Array.isArray(values)) return bad(`${name} needs an array`)
  if (values.some((value) => isDocument(value) && Object.keys(value)[0]?.[0] === '$')) {
    bad(`cannot nest $ under ${name}`)
  }
  const expressions = values.filter((value) => value instanceof BSONRegExp)
  if (expressions.length === 0) return oneOf(values)
  const others = values.filter((value) => !(value instanceof BSONRegExp))
  const conditions = [oneOf(others), ...expressions.map(matchesRegex)]
  return { test: (value) => conditions.some(({ test }) => test(value)), elements: true }
}

/** Whether the argument of $exists counts as true. */
export function existsTest (value: Value): boolean {
  return value !== null && value !== undefined && value !== false && toNumber(value) !== 0
}

/** The regular expression of `$regex` and `$options`. */
export function regexOf (value: Value, options: Value): BSONRegExp {
  if (options !== undefined && typeof options !== 'string') return bad('$options has to be a string')
  if (typeof value === 'string') return new BSONRegExp(value, options)
  if (!(value instanceof BSONRegExp)) return bad('$regex has to be a string')
  if (options === undefined) return value
  if (value.options !== '') throw new CommandError(51075, 'options set in both $regex and $options')
  return new BSONRegExp(value.pattern, options)
}

export function matchesRegex (value: BSONRegExp): Condition {
  const matches = compileRegex(value)
  return { test: (other) => typeof other === 'string' && matches(other), elements: true }
}
