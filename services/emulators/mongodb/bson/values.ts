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
  // a timestamp is a Long for JavaScript
  return value instanceof Long && value._bsontype === 'Long' ? value.toNumber() : undefined
}

/** A whole number as the type a server returns: int if it fits, else long. */
export function integer (value: number): Int32 | Long {
  return value >= -0x80000000 && value <= 0x7fffffff ? new Int32(value) : Long.fromNumber(value)
}

/** The sum of two numbers in the wider of their types; undefined if a long overflows or one is no number. */
export function add (a: Value, b: Value): Value {
  if (a instanceof Double || b instanceof Double) return new Double(toNumber(a)! + toNumber(b)!)
  if (!(a instanceof Int32 || a instanceof Long) || !(b instanceof Int32 || b instanceof Long)) {
    return undefined
  }
  const sum = BigInt(a.toString()) + BigInt(b.toString())
  if (BigInt.asIntN(64, sum) !== sum) return undefined
  const fits = a instanceof Int32 && b instanceof Int32 && BigInt.asIntN(32, sum) === sum
  return fits ? new Int32(Number(sum)) : Long.fromBigInt(sum)
}

/** The server's name of each supported type and its number. */
export const typeNumbers: Record<string, number> = {
  double: 1,
  string: 2,
  object: 3,
  array: 4,
  binData: 5,
  objectId: 7,
  bool: 8,
  date: 9,
  null: 10,
  int: 16,
  long: 18
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

/*
 * JavaScript moves names that are whole numbers to the front of an object. A document that has such a name
 * keeps the order of its fields beside them.
 */
const order = Symbol('order of fields')
type Ordered = Doc & { [order]?: string[] }
export const wholeNumber = /^(?:0|[1-9]\d*)$/

/** The names of a document's fields in their order. */
export function namesOf (doc: Doc): string[] {
  return (doc as Ordered)[order] ?? Object.keys(doc)
}

export function setOrder (doc: Doc, names: string[]): void {
  (doc as Ordered)[order] = names
}

/** A document's own field, undefined if there is none. */
export function field (doc: Doc, name: string): Value {
  const value = doc[name]
  return value !== undefined && Object.hasOwn(doc, name) ? value : undefined
}

export function setField (doc: Doc, name: string, value: Value): void {
  if (name === '__proto__') {
    Object.defineProperty(doc, name, { value, configurable: true, enumerable: true, writable: true })
    return
  }
  const ordered = Object.hasOwn(doc, order) || wholeNumber.test(name)
  if (ordered && !Object.hasOwn(doc, name)) setOrder(doc, [...namesOf(doc), name])
  doc[name] = value
}

export function removeField (doc: Doc, name: string): void {
  delete doc[name]
  if (Object.hasOwn(doc, order)) setOrder(doc, namesOf(doc).filter((other) => other !== name))
}

/** The values at a path, arrays by their elements. */
export function valuesAt (value: Value, names: string[], depth = 0): Value[] {
  const name = names[depth]
  if (Array.isArray(value)) {
    if (name === undefined) return value.filter((item) => item !== undefined)
    if (wholeNumber.test(name) && value[Number(name)] !== undefined) {
      return valuesAt(value[Number(name)], names, depth + 1)
    }
    return value.flatMap((item) => isDocument(item) ? valuesAt(item, names, depth) : [])
  }
  if (name === undefined) return value === undefined ? [] : [value]
  return isDocument(value) ? valuesAt(field(value, name), names, depth + 1) : []
}

/** A value as the server writes it into messages. */
export function showValue (value: Value): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return `"${value}"`
  if (typeof value !== 'object') return String(value)
  if (value instanceof Date) return `new Date(${value.getTime()})`
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(showValue).join(', ')} ]`
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`
  if (value instanceof Double) {
    return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value)
  }
  if (value instanceof Binary) {
    return value.sub_type === 4
      ? `UUID("${value.toUUID().toString()}")`
      : `BinData(${value.sub_type}, ${value.toString('hex').toUpperCase()})`
  }
  if (value instanceof BSONRegExp) return `/${value.pattern}/${value.options}`
  if (!isDocument(value)) return String(value)
  const fields = namesOf(value).map((name) => `${name}: ${showValue(value[name])}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}
