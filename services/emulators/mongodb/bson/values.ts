import { BSONRegExp, BSONValue, Binary, Double, Int32, Long, ObjectId } from 'bson'

/** A BSON value as `decode` returns it: numbers stay Int32, Double or Long. */
export type Value = undefined | null | boolean | number | string | Date | BSONValue | Doc | Value[]
export interface Doc { [name: string]: Value }

export function isDocument (value: Value): value is Doc {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    !(value instanceof BSONValue) && !(value instanceof Date)
}

/** A number of any supported type as a JavaScript number, undefined for anything else. */
export function toNumber (value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (value instanceof Int32 || value instanceof Double) return value.value
  // A timestamp is a Long for JavaScript
  return value instanceof Long && value._bsontype === 'Long' ? value.toNumber() : undefined
}

/** A whole number as the type a server returns: int if it fits, else long. */
export function integer (value: number): Int32 | Long {
  return value >= -0x80000000 && value <= 0x7fffffff ? new Int32(value) : Long.fromNumber(value)
}

/** The sum of two numbers in the wider of their types; undefined if it is no safe integer. */
export function add (a: Value, b: Value): Value {
  const sum = toNumber(a)! + toNumber(b)!
  if (a instanceof Double || b instanceof Double) return new Double(sum)
  if (!Number.isSafeInteger(sum)) return undefined
  return a instanceof Long || b instanceof Long ? Long.fromNumber(sum) : integer(sum)
}

/** The server's name of a value's type. */
export function typeName (value: Value): string {
  switch (typeof value) {
    case 'string': return 'string'
    case 'boolean': return 'bool'
    case 'undefined': return 'undefined'
    case 'number': return Number.isInteger(value) ? 'int' : 'double'
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (value instanceof Date) return 'date'
  if (!(value instanceof BSONValue)) return 'object'
  switch (value._bsontype) {
    case 'Int32': return 'int'
    case 'Binary': return 'binData'
    case 'BSONRegExp': return 'regex'
    default: return value._bsontype[0]!.toLowerCase() + value._bsontype.slice(1)
  }
}

/** A document's own field, undefined if there is none. */
export function field (doc: Doc, name: string): Value {
  const value = doc[name]
  return value !== undefined && Object.hasOwn(doc, name) ? value : undefined
}

/** The values at a path, arrays by their elements. */
export function valuesAt (value: Value, names: string[], depth = 0): Value[] {
  const name = names[depth]
  if (Array.isArray(value)) {
    return name === undefined
      ? value
      : value.flatMap((item) => isDocument(item) ? valuesAt(item, names, depth) : [])
  }
  if (name === undefined) return value === undefined ? [] : [value]
  return isDocument(value) ? valuesAt(field(value, name), names, depth + 1) : []
}

/** A value as the server writes it into messages. */
export function showValue (value: Value): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return `"${value}"`
  if (value instanceof Date) return `new Date(${value.getTime()})`
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(showValue).join(', ')} ]`
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`
  if (value instanceof Double && Number.isInteger(value.value)) return value.value.toFixed(1)
  if (value instanceof Binary) return `BinData(${value.sub_type}, ${value.toString('hex').toUpperCase()})`
  if (value instanceof BSONRegExp) return `/${value.pattern}/${value.options}`
  if (!isDocument(value)) return String(value)
  const fields = Object.entries(value).map(([name, inner]) => `${name}: ${showValue(inner)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}
