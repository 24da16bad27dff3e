import { BSONRegExp } from 'bson'
import type { Doc, Value } from '../bson/bson.ts'
import { field, fieldsOf, isDocument, toNumber } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'
import { toRegExp } from './regex.ts'
import { compare, digits, keyOf, order, orderOf } from '../bson/keys.ts'

export type Comparison = 'eq' | 'lt' | 'lte' | 'gt' | 'gte'

/** A condition on the values at a path: true if any value there passes `test`. */
export interface Leaf {
  kind: 'leaf'
  op: Comparison | 'in' | 'regex' | 'exists' | 'type' | 'size' | 'mod' | 'bits' | 'elemMatch'
  path: string
  names: string[]
  value: Value
  /** Tests one value; undefined stands for a missing field. */
  test: (value: Value) => boolean
  /** Whether the elements of an array at the end of the path are tested as well as the array. */
  elements: boolean
  /** The conditions on an element, of $elemMatch only; their paths are relative, '' for the element itself. */
  inner?: Filter
}

export type Filter =
  | { kind: 'and' | 'or' | 'nor', parts: Filter[] }
  | { kind: 'not', part: Filter }
  | Leaf

const bad = (message: string): never => { throw new CommandError('BadValue', message) }

/**
 * Reads a query filter; throws BadValue or FailedToParse with the server's words.
 * https://www.mongodb.com/docs/manual/reference/operator/query/
 */
export function parseFilter (query: Doc): Filter {
  const parts: Filter[] = []
  for (const name of Object.keys(query)) {
    const value = query[name]
    if (name[0] !== '$') parts.push(...parseField(name, value))
    else if (name === '$and' || name === '$or' || name === '$nor') {
      if (!Array.isArray(value)) bad(`${name} must be an array`)
      if (value.length === 0) bad('$and/$or/$nor must be a nonempty array')
      const branches = value.map((branch: Value) => isDocument(branch) ? parseFilter(branch) : bad('$or/$and/$nor entries need to be full objects'))
      if (name === '$and') parts.push(...branches.flatMap((b: Filter) => b.kind === 'and' ? b.parts : [b]))
      else parts.push({ kind: name === '$or' ? 'or' : 'nor', parts: branches })
    } else if (name === '$ref' || name === '$id' || name === '$db') parts.push(...parseField(name, value))
    else if (name === '$expr' || name === '$where' || name === '$text' || name === '$jsonSchema') throw new CommandError('CommandNotSupported', `${name} is not supported by this database`)
    else if (name !== '$comment') bad(`unknown top level operator: ${name}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`)
  }
  return parts.length === 1 ? parts[0]! : { kind: 'and', parts }
}

/** Whether a value counts as true: all but false, zero and null. */
export function isTrue (value: Value): boolean {
  if (value === null || value === undefined || value === false) return false
  return toNumber(value) !== 0
}

function isOperators (value: Value): value is Doc {
  if (!isDocument(value) || value._bsontype === 'DBRef') return false
  const [name] = Object.keys(value)
  return name?.[0] === '$' && name !== '$ref' && name !== '$id' && name !== '$db'
}

function parseField (path: string, value: Value): Filter[] {
  if (isOperators(value)) return parseOperators(path, value)
  return [value?._bsontype === 'BSONRegExp' ? regex(path, value) : comparison('eq', path, value)]
}

function parseOperators (path: string, spec: Doc): Filter[] {
  const parts: Filter[] = []
  for (const name of Object.keys(spec)) {
    const value = spec[name]
    switch (name) {
      case '$eq': parts.push(comparison('eq', path, value)); break
      case '$ne':
        if (value?._bsontype === 'BSONRegExp') bad("Can't have regex as arg to $ne.")
        parts.push({ kind: 'not', part: comparison('eq', path, value) }); break
      case '$gt':
      case '$gte':
      case '$lt':
      case '$lte':
        if (value?._bsontype === 'BSONRegExp') bad(`Can't have RegEx as arg to predicate over field '${path}'.`)
        parts.push(comparison(name.slice(1) as Comparison, path, value)); break
      case '$in': parts.push(within('$in', path, value)); break
      case '$nin': parts.push({ kind: 'not', part: within('$nin', path, value) }); break
      case '$not': {
        let inner: Filter[] = []
        if (value?._bsontype === 'BSONRegExp') inner = [regex(path, value)]
        else if (!isDocument(value)) bad('$not needs a regex or a document')
        else if (Object.keys(value).length === 0) bad('$not cannot be empty')
        else if (!isOperators(value)) bad(`unknown operator: ${Object.keys(value)[0]}`)
        else inner = parseOperators(path, value)
        parts.push({ kind: 'not', part: inner.length === 1 ? inner[0]! : { kind: 'and', parts: inner } })
        break
      }
      case '$exists': {
        const present = leaf('exists', path, value, (v) => v !== undefined)
        parts.push(isTrue(value) ? present : { kind: 'not', part: present })
        break
      }
      case '$type': parts.push(typeCheck(path, value)); break
      case '$regex': parts.push(regex(path, regexOf(value, spec.$options))); break
      case '$options':
        if (!Object.hasOwn(spec, '$regex')) bad('$options needs a $regex')
        break
      case '$size': {
        const size = toNumber(value)
        if (size === undefined) throw new CommandError('FailedToParse', `Failed to parse $size. Expected a number in: $size: ${show(value)}`)
        if (!Number.isInteger(size)) throw new CommandError('FailedToParse', `Failed to parse $size. Expected an integer: $size: ${show(value)}`)
        if (size < 0) throw new CommandError('FailedToParse', `Failed to parse $size. Expected a non-negative number in: $size: ${show(value)}`)
        parts.push(leaf('size', path, value, (v) => Array.isArray(v) && v.length === size, false))
        break
      }
      case '$all': parts.push(all(path, value)); break
      case '$elemMatch': parts.push(elemMatch(path, value)); break
      case '$mod': parts.push(modulo(path, value)); break
      case '$bitsAllSet':
      case '$bitsAllClear':
      case '$bitsAnySet':
      case '$bitsAnyClear': parts.push(bits(name, path, value)); break
      case '$comment': break
      default:
        if (name === '$near' || name === '$nearSphere' || name === '$geoWithin' || name === '$geoIntersects' || name === '$within') {
          throw new CommandError('CommandNotSupported', `${name} is not supported by this database`)
        }
        bad(`unknown operator: ${name}`)
    }
  }
  return parts
}

const show = (value: Value): string => typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? '[ ... ]' : isDocument(value) ? '{ ... }' : String(toNumber(value) ?? value)

function leaf (op: Leaf['op'], path: string, value: Value, test: Leaf['test'], elements = true): Leaf {
  return { kind: 'leaf', op, path, names: path.split('.'), value, test, elements }
}

/** Whether two values are equal as the server compares: by type order, so int 1 equals double 1. */
export function equal (a: Value, b: Value): boolean {
  return a === b ? a !== undefined : orderOf(a) === orderOf(b) && compare(a, b) === 0
}

/** A test for equality with one value, which is null for a missing field. */
function equals (value: Value): Leaf['test'] {
  if (value === null) return (v) => v === null || v === undefined
  if (typeof value === 'string') return (v) => v === value || (v?._bsontype === 'BSONSymbol' && v.value === value)
  if (value?._bsontype === 'ObjectId') return (v) => v?._bsontype === 'ObjectId' && v.equals(value)
  const type = orderOf(value)
  return (v) => v !== undefined && orderOf(v) === type && compare(v, value) === 0
}

function comparison (op: Comparison, path: string, value: Value): Leaf {
  if (value === undefined) bad('cannot compare to undefined')
  if (op === 'eq') return leaf(op, path, value, equals(value))
  const type = orderOf(value)
  const inclusive = op === 'lte' || op === 'gte'
  const sign = op === 'lt' || op === 'lte' ? -1 : 1
  if (type === order.null) return leaf(op, path, value, inclusive ? (v) => v === null || v === undefined : () => false)
  if (type === order.MinKey || type === order.MaxKey) {
    return leaf(op, path, value, (v) => {
      const c = compare(v === undefined ? null : v, value) * sign
      return c > 0 || (inclusive && c === 0)
    })
  }
  const nan = type === order.number && Number.isNaN(toNumber(value))
  return leaf(op, path, value, (v) => {
    if (v === undefined || orderOf(v) !== type) return false
    if (type === order.number && (nan || Number.isNaN(toNumber(v)))) return inclusive && nan && Number.isNaN(toNumber(v))
    const c = compare(v, value) * sign
    return c > 0 || (inclusive && c === 0)
  })
}

function within (name: string, path: string, values: Value): Leaf {
  if (!Array.isArray(values)) return bad(`${name} needs an array`)
  const tests: Array<Leaf['test']> = []
  const keys = new Set<string>()
  let nothing = false
  for (const value of values) {
    if (isOperators(value)) bad(`cannot nest $ under ${name}`)
    if (value?._bsontype === 'BSONRegExp') tests.push(regex(path, value).test)
    else if (value === null) nothing = true
    else if (values.length <= 4) tests.push(equals(value))
    else keys.add(keyOf(value).toString('latin1'))
  }
  return leaf('in', path, values, (v) => {
    if (v === null || v === undefined) return nothing
    for (const test of tests) if (test(v)) return true
    return keys.size > 0 && keys.has(keyOf(v).toString('latin1'))
  })
}

function regexOf (value: Value, options: Value): BSONRegExp {
  if (options !== undefined && typeof options !== 'string') bad('$options has to be a string')
  if (value?._bsontype === 'BSONRegExp') {
    if (options !== undefined && value.options !== '') throw new CommandError(51075, 'options set in both $regex and $options')
    return options === undefined ? value : new BSONRegExp(value.pattern, checkOptions(options))
  }
  if (typeof value !== 'string') bad('$regex has to be a string')
  return new BSONRegExp(value, checkOptions(options ?? ''))
}

function checkOptions (options: string): string {
  for (const flag of options) if (!'imsxu'.includes(flag)) throw new CommandError(51108, `invalid flag in regex options: ${flag}`)
  return options
}

function regex (path: string, value: BSONRegExp): Leaf {
  const expression = toRegExp(value)
  return leaf('regex', path, value, (v) => typeof v === 'string' ? expression.test(v) : v?._bsontype === 'BSONRegExp' ? v.pattern === value.pattern && v.options === value.options : v?._bsontype === 'BSONSymbol' && expression.test(v.value))
}

const typeNames: Record<string, number> = {
  double: 1, string: 2, object: 3, array: 4, binData: 5, undefined: 6, objectId: 7, bool: 8, date: 9, null: 10, regex: 11, dbPointer: 12, javascript: 13, symbol: 14, javascriptWithScope: 15, int: 16, timestamp: 17, long: 18, decimal: 19, minKey: -1, maxKey: 127
}
const numberTypes = new Set([1, 16, 18, 19])

/** The BSON type number of a value; a plain JavaScript number counts as int if whole, else double. */
export function typeNumber (value: Value): number {
  switch (typeof value) {
    case 'string': return 2
    case 'boolean': return 8
    case 'undefined': return 6
    case 'number': return Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? 16 : 1
  }
  if (value === null) return 10
  switch (value._bsontype) {
    case undefined: return Array.isArray(value) ? 4 : value instanceof Date ? 9 : 3
    case 'Double': return 1
    case 'Binary': return 5
    case 'ObjectId': return 7
    case 'BSONRegExp': return 11
    case 'Code': return value.scope ? 15 : 13
    case 'BSONSymbol': return 14
    case 'Int32': return 16
    case 'Timestamp': return 17
    case 'Long': return 18
    case 'Decimal128': return 19
    case 'MinKey': return -1
    case 'MaxKey': return 127
    default: return 3
  }
}

export function typeName (value: Value): string {
  const number = typeNumber(value)
  return Object.keys(typeNames).find((name) => typeNames[name] === number) ?? 'missing'
}

function typeCheck (path: string, value: Value): Leaf {
  const wanted = new Set<number>()
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new CommandError('FailedToParse', `${path} must match at least one type`)
  for (const type of list) {
    const number = toNumber(type)
    if (type === 'number') for (const n of numberTypes) wanted.add(n)
    else if (typeof type === 'string') wanted.add(typeNames[type] ?? bad(`Unknown type name alias: ${type}`))
    else if (number === undefined) throw new CommandError('TypeMismatch', 'type must be represented as a number or a string')
    else if (Object.values(typeNames).includes(number)) wanted.add(number)
    else bad(`Invalid numerical type code: ${number}`)
  }
  return leaf('type', path, value, (v) => v !== undefined && wanted.has(typeNumber(v)))
}

function all (path: string, values: Value): Filter {
  if (!Array.isArray(values)) return bad('$all needs an array')
  if (values.length === 0) return { kind: 'or', parts: [] }
  const parts = values.map((value) => {
    if (isOperators(value)) {
      if (Object.keys(value)[0] !== '$elemMatch') bad('no $ expressions in $all')
      return elemMatch(path, value.$elemMatch)
    }
    return value?._bsontype === 'BSONRegExp' ? regex(path, value) : comparison('eq', path, value)
  })
  return { kind: 'and', parts }
}

function elemMatch (path: string, value: Value): Leaf {
  if (!isDocument(value)) return bad('$elemMatch needs an Object')
  const first = Object.keys(value)[0]
  const onValue = isOperators(value) && !['$and', '$or', '$nor', '$expr', '$where', '$comment'].includes(first!)
  if (onValue) {
    const parts = parseOperators('', value)
    const inner: Filter = { kind: 'and', parts }
    return { ...leaf('elemMatch', path, value, (v) => Array.isArray(v) && v.some((item) => matchesValue(inner, item)), false), inner }
  }
  const inner = parseFilter(value)
  const test = (v: Value): boolean => Array.isArray(v) && v.some((item) => isDocument(item) ? matches(inner, item) : Array.isArray(item) && matches(inner, { ...item }))
  return { ...leaf('elemMatch', path, value, test, false), inner }
}

function modulo (path: string, value: Value): Leaf {
  if (!Array.isArray(value)) return bad('malformed mod, needs to be an array')
  if (value.length < 2) bad('malformed mod, not enough elements')
  if (value.length > 2) bad('malformed mod, too many elements')
  const [divisor, remainder] = value.map(toNumber)
  if (divisor === undefined || !Number.isFinite(divisor)) return bad('malformed mod, divisor not a number')
  if (remainder === undefined || !Number.isFinite(remainder)) return bad('malformed mod, remainder not a number')
  if (Math.trunc(divisor) === 0) bad('divisor cannot be 0')
  return leaf('mod', path, value, (v) => {
    const number = toNumber(v)
    return number !== undefined && Number.isFinite(number) && Math.trunc(number) % Math.trunc(divisor) === Math.trunc(remainder)
  })
}

function bits (name: string, path: string, value: Value): Leaf {
  let mask = 0n
  const number = toNumber(value)
  if (Array.isArray(value)) {
    for (const item of value) {
      const position = toNumber(item)
      if (position === undefined || !Number.isInteger(position) || position < 0) bad('bit positions must be an integer >= 0')
      mask |= 1n << BigInt(position!)
    }
  } else if (value?._bsontype === 'Binary') mask = littleEndian(value.value())
  else if (number !== undefined && Number.isInteger(number) && number >= 0) mask = BigInt(number)
  else bad(`${path} takes an Array, a number, or a BinData but received: ${typeName(value)}`)
  return leaf('bits', path, value, (v) => {
    const n = v?._bsontype === 'Long' ? v.toBigInt() : v?._bsontype === 'Binary' ? littleEndian(v.value()) : Number.isInteger(toNumber(v)) ? BigInt(toNumber(v)!) : undefined
    if (n === undefined) return false
    switch (name) {
      case '$bitsAllSet': return (n & mask) === mask
      case '$bitsAllClear': return (n & mask) === 0n
      case '$bitsAnySet': return (n & mask) !== 0n
      default: return (n & mask) !== mask
    }
  })
}

function littleEndian (bytes: Uint8Array): bigint {
  let n = 0n
  for (let i = bytes.length - 1; i >= 0; i--) n = (n << 8n) | BigInt(bytes[i]!)
  return n
}

/** Whether a document matches. */
export function matches (filter: Filter, doc: Doc): boolean {
  switch (filter.kind) {
    case 'leaf': return visit(filter, doc, 0)
    case 'and': return filter.parts.every((part) => matches(part, doc))
    case 'or': return filter.parts.some((part) => matches(part, doc))
    case 'nor': return !filter.parts.some((part) => matches(part, doc))
    case 'not': return !matches(filter.part, doc)
  }
}

/** Whether one value, not a field of a document, meets conditions parsed with an empty path. */
export function matchesValue (filter: Filter, value: Value): boolean {
  switch (filter.kind) {
    case 'leaf': return filter.test(value)
    case 'and': return filter.parts.every((part) => matchesValue(part, value))
    case 'or': return filter.parts.some((part) => matchesValue(part, value))
    case 'nor': return !filter.parts.some((part) => matchesValue(part, value))
    case 'not': return !matchesValue(filter.part, value)
  }
}

function visit (leaf: Leaf, doc: Doc, depth: number): boolean {
  const value = field(doc, leaf.names[depth]!)
  if (depth === leaf.names.length - 1) return visitEnd(leaf, value)
  if (Array.isArray(value)) return visitArray(leaf, value, depth + 1)
  return isDocument(value) ? visit(leaf, value, depth + 1) : leaf.test(undefined)
}

function visitEnd (leaf: Leaf, value: Value): boolean {
  if (leaf.elements && Array.isArray(value)) {
    for (const item of value) if (leaf.test(item)) return true
  }
  return leaf.test(value)
}

function visitArray (leaf: Leaf, array: Value[], depth: number): boolean {
  for (const item of array) if (isDocument(item) && visit(leaf, item, depth)) return true
  const name = leaf.names[depth]!
  if (!digits.test(name)) return false
  const item = array[Number(name)]
  if (Number(name) >= array.length) return false
  // a path that ends in a position means that element as it is, not the elements of it
  if (depth === leaf.names.length - 1) return leaf.test(item)
  if (Array.isArray(item)) return visitArray(leaf, item, depth + 1)
  return isDocument(item) && visit(leaf, item, depth + 1)
}

/** The equalities that an upsert copies into a new document: path and value of each. */
export function equalities (filter: Filter): Array<[string, Value]> {
  switch (filter.kind) {
    case 'and': return filter.parts.flatMap(equalities)
    case 'or': return filter.parts.length === 1 ? equalities(filter.parts[0]!) : []
    case 'leaf':
      if (filter.op === 'eq') return [[filter.path, filter.value]]
      return filter.op === 'in' && filter.value.length === 1 && filter.value[0]?._bsontype !== 'BSONRegExp' ? [[filter.path, filter.value[0]]] : []
    default: return []
  }
}

/** The document behind a value, for reading by name. */
export function asDocument (value: Value): Doc | undefined {
  return isDocument(value) ? fieldsOf(value) : undefined
}

/** A filter in the shape in which explain shows it. */
export function queryOf (filter: Filter): Doc {
  switch (filter.kind) {
    case 'leaf': return { [filter.path]: filter.inner === undefined ? { [`$${filter.op}`]: filter.value } : { $elemMatch: queryOf(filter.inner) } }
    case 'not': return { $nor: [queryOf(filter.part)] }
    case 'and': return filter.parts.length === 0 ? {} : { $and: filter.parts.map(queryOf) }
    default: return { [`$${filter.kind}`]: filter.parts.map(queryOf) }
  }
}
