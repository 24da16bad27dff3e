import type { Value } from './bson.ts'
import { integer } from './bson.ts'

/** JavaScript's whole numbers as BSON's ints and longs. */
export function expand (value: Value): Value {
  if (typeof value === 'number' && Number.isInteger(value)) return integer(value)
  if (Array.isArray(value)) return value.map(expand)
  if (typeof value !== 'object' || value === null || value._bsontype !== undefined || value instanceof Date) return value
  return Object.fromEntries(Object.keys(value).map((name) => [name, expand(value[name])]))
}
