import { BSONRegExp, ObjectId } from 'bson'
import { compare, keyOf, order, orderOf } from '../bson/keys.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import { compileRegex } from './regex.ts'

export type Comparison = 'lt' | 'lte' | 'gt' | 'gte'
type Test = (value: Value) => boolean

/** What one operator demands of a value. */
export interface Condition {
  op: Comparison | 'eq' | 'in' | 'regex' | 'exists' | 'elemMatch'
  /** The operator's argument. */
  value: Value
  /** Tests one value; undefined stands for a missing field. */
  test: Test
  /** Whether the elements of an array at the end of the path are tested as well as the array. */
  elements: boolean
}

const bad = (message: string): never => { throw new CommandError('BadValue', message) }

export function equals (value: Value): Condition {
  if (value instanceof BSONRegExp) bad("Can't have regex as arg to $ne.")
  if (value === undefined) bad('cannot compare to undefined')
  return { op: 'eq', value, test: equality(value), elements: true }
}

/** A test for equality with one value, which is null for a missing field. */
function equality (value: Value): Test {
  if (value === null) return (other) => other === null || other === undefined
  if (typeof value === 'string') return (other) => other === value
  if (value instanceof ObjectId) return (other) => other instanceof ObjectId && other.equals(value)
  const type = orderOf(value)
  return (other) => other !== undefined && orderOf(other) === type && compare(other, value) === 0
}

/** Comparisons hold between values of one type only. */
export function compares (op: Comparison, value: Value): Condition {
  if (value === undefined) bad('cannot compare to undefined')
  const type = orderOf(value)
  const inclusive = op === 'lte' || op === 'gte'
  const sign = op === 'lt' || op === 'lte' ? -1 : 1
  const isNaN = Number.isNaN(toNumber(value))
  const test: Test = (other) => {
    if (other === undefined || orderOf(other) !== type) return false
    if (type === order.number && Number.isNaN(toNumber(other)) !== isNaN) return false
    const result = compare(other, value) * sign
    return result > 0 || (inclusive && result === 0)
  }
  return { op, value, test: type === order.null && inclusive ? equality(null) : test, elements: true }
}

/** Below this number of values they are compared one by one. */
const fewValues = 4

export function anyOf (name: string, values: Value): Condition {
  if (!Array.isArray(values)) return bad(`${name} needs an array`)
  const tests: Test[] = []
  const keys = new Set<string>()
  for (const value of values) {
    if (isDocument(value) && Object.keys(value)[0]?.[0] === '$') bad(`cannot nest $ under ${name}`)
    if (value instanceof BSONRegExp) tests.push(matchesRegex(value).test)
    else if (value === null || values.length <= fewValues) tests.push(equality(value))
    else keys.add(keyOf(value).toString('latin1'))
  }
  const test: Test = (value) => tests.some((passes) => passes(value)) ||
    (keys.size > 0 && value !== undefined && keys.has(keyOf(value).toString('latin1')))
  return { op: 'in', value: values, test, elements: true }
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
  return { op: 'regex', value, test: (other) => typeof other === 'string' && matches(other), elements: true }
}

/** A condition that at least one element of an array passes a test. */
export function anyElement (value: Value, test: Test): Condition {
  return { op: 'elemMatch', value, test: (array) => Array.isArray(array) && array.some(test), elements: false }
}
