import type { Doc, Value } from './bson.ts'
import { field, fieldsOf, isDocument, namesOf } from './bson.ts'
import { CommandError } from '../errors.ts'

/*
 * Keys whose order as bytes is the order of the values they stand for, as in the server's KeyString:
 * https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
 * Numbers of all types share one form. No key is a prefix of another, so a descending part is the inverted bytes.
 */
export const order = {
  MinKey: 0x0a,
  undefined: 0x10,
  null: 0x14,
  number: 0x1e,
  string: 0x3c,
  object: 0x46,
  array: 0x50,
  binary: 0x5a,
  objectId: 0x64,
  bool: 0x6e,
  date: 0x78,
  timestamp: 0x82,
  regex: 0x8c,
  dbPointer: 0x96,
  code: 0xa0,
  codeWithScope: 0xaa,
  MaxKey: 0xf0
} as const

/** The place of a value's type in the comparison order; missing counts as null. */
export function orderOf (value: Value): number {
  switch (typeof value) {
    case 'string': return order.string
    case 'boolean': return order.bool
    case 'number':
    case 'bigint': return order.number
    case 'undefined': return order.undefined
  }
  if (value === null) return order.null
  switch (value._bsontype) {
    case undefined: return Array.isArray(value) ? order.array : value instanceof Date ? order.date : order.object
    case 'Int32':
    case 'Double':
    case 'Long':
    case 'Decimal128': return order.number
    case 'ObjectId': return order.objectId
    case 'Binary': return order.binary
    case 'Timestamp': return order.timestamp
    case 'BSONRegExp': return order.regex
    case 'BSONSymbol': return order.string
    case 'Code': return value.scope ? order.codeWithScope : order.code
    case 'MinKey': return order.MinKey
    case 'MaxKey': return order.MaxKey
    default: return order.object
  }
}

let buffer = Buffer.allocUnsafe(4096)
let at = 0

function room (bytes: number): void {
  if (at + bytes <= buffer.length) return
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes))
  buffer.copy(larger, 0, 0, at)
  buffer = larger
}

function putText (text: string): void {
  const start = at
  room(text.length * 3 + 2)
  at += buffer.write(text, at)
  if (buffer.subarray(start, at).includes(0)) {
    const escaped = Buffer.from(buffer.subarray(start, at))
    at = start
    room(escaped.length * 2 + 2)
    for (const byte of escaped) {
      buffer[at++] = byte
      if (byte === 0) buffer[at++] = 0xff
    }
  }
  buffer[at++] = 0
  buffer[at++] = 1
}

function putDouble (value: number): void {
  room(8)
  if (Number.isNaN(value)) buffer.fill(0, at, at + 8)
  else {
    buffer.writeDoubleBE(value === 0 ? 0 : value, at)
    if (buffer[at]! & 0x80) for (let i = at; i < at + 8; i++) buffer[i] = ~buffer[i]!
    else buffer[at]! |= 0x80
  }
  at += 8
}

function putByte (byte: number): void {
  room(1)
  buffer[at++] = byte
}

const scratch = Buffer.alloc(8)

function nextDown (value: number): number {
  if (value === Infinity) return Number.MAX_VALUE
  if (value === 0) return -Number.MIN_VALUE
  scratch.writeDoubleBE(value)
  const bits = scratch.readBigInt64BE()
  scratch.writeBigInt64BE(value > 0 ? bits - 1n : bits + 1n)
  return scratch.readDoubleBE()
}

/** Numerator and power of two of a finite double: value = n * 2^e. */
function parts (value: number): [bigint, number] {
  scratch.writeDoubleBE(value)
  const bits = scratch.readBigUInt64BE()
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const n = exponent === 0 ? fraction : fraction | 0x10000000000000n
  return [bits >> 63n ? -n : n, (exponent || 1) - 1075]
}

/** Sign of digits * 10^exponent - value, exactly. */
function compareDecimal (digits: bigint, exponent: number, value: number): number {
  if (value === Infinity) return -1
  if (value === -Infinity) return 1
  let [right, twos] = parts(value)
  let left = digits
  if (exponent > 0) left *= 10n ** BigInt(exponent)
  else right *= 10n ** BigInt(-exponent)
  if (twos > 0) right <<= BigInt(twos)
  else left <<= BigInt(-twos)
  return left < right ? -1 : left > right ? 1 : 0
}

/** The greatest double not above the number, then, only if that differs from it, its decimal digits. */
function putDecimal (digits: bigint, exponent: number): void {
  if (digits === 0n) {
    putDouble(0)
    putByte(0)
    return
  }
  const negative = digits < 0n
  let text = (negative ? -digits : digits).toString()
  let double = Number(`${negative ? '-' : ''}${text}e${exponent}`)
  if (compareDecimal(digits, exponent, double) < 0) double = nextDown(double)
  putDouble(double)
  if (compareDecimal(digits, exponent, double) === 0) {
    putByte(0)
    return
  }
  putByte(1)
  const start = at
  const scale = text.length + exponent + 0x4000
  text = text.replace(/0+$/, '')
  room(text.length + 3)
  at = buffer.writeUInt16BE(scale, at)
  at += buffer.write(text, at, 'latin1')
  buffer[at++] = 0
  if (negative) for (let i = start; i < at; i++) buffer[i] = ~buffer[i]!
}

function putNumber (value: Value): void {
  if (typeof value === 'number') {
    putDouble(value)
    putByte(0)
    return
  }
  switch (value._bsontype) {
    case 'Int32':
    case 'Double':
      putDouble(value.value)
      putByte(0)
      return
    case 'Long': {
      const number = value.toNumber()
      if (Number.isSafeInteger(number)) {
        putDouble(number)
        putByte(0)
      } else putDecimal(value.toBigInt(), 0)
      return
    }
    case 'Decimal128': {
      const text: string = value.toString()
      const match = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/.exec(text)
      if (match === null) {
        putDouble(Number(text))
        putByte(0)
      } else {
        const fraction = match[3] ?? ''
        putDecimal(BigInt(match[1]! + match[2]! + fraction), Number(match[4] ?? 0) - fraction.length)
      }
      return
    }
    default:
      putDecimal(BigInt(value), 0)
  }
}

function putValue (value: Value): void {
  const type = orderOf(value)
  putByte(type)
  putPayload(type, value)
}

function putPayload (type: number, value: Value): void {
  switch (type) {
    case order.string:
      putText(typeof value === 'string' ? value : value.value)
      break
    case order.number:
      putNumber(value)
      break
    case order.objectId:
      room(12)
      buffer.set(value.id, at)
      at += 12
      break
    case order.bool:
      putByte(value ? 1 : 0)
      break
    case order.date:
      room(8)
      buffer.writeBigInt64BE(BigInt(value.getTime()), at)
      buffer[at]! ^= 0x80
      at += 8
      break
    case order.timestamp:
      room(8)
      at = buffer.writeUInt32BE(value.high >>> 0, at)
      at = buffer.writeUInt32BE(value.low >>> 0, at)
      break
    case order.object:
      value = fieldsOf(value)
      for (const name of namesOf(value)) {
        const fieldType = orderOf(value[name])
        putByte(fieldType)
        putText(name)
        putPayload(fieldType, value[name])
      }
      putByte(0)
      break
    case order.array:
      for (const item of value) putValue(item)
      putByte(0)
      break
    case order.binary: {
      const bytes: Uint8Array = value.buffer.subarray(0, value.position)
      room(bytes.length + 5)
      at = buffer.writeUInt32BE(bytes.length, at)
      buffer[at++] = value.sub_type
      buffer.set(bytes, at)
      at += bytes.length
      break
    }
    case order.regex:
      putText(value.pattern)
      putText(value.options)
      break
    case order.code:
      putText(value.code)
      break
    case order.codeWithScope:
      putText(value.code)
      putPayload(order.object, value.scope)
      break
  }
}

/** The key of one value, ascending. */
export function keyOf (value: Value): Buffer {
  at = 0
  putValue(value)
  return Buffer.from(buffer.subarray(0, at))
}

export function invert (key: Buffer): Buffer {
  const out = Buffer.allocUnsafe(key.length)
  for (let i = 0; i < key.length; i++) out[i] = ~key[i]!
  return out
}

const simple = new Set<number>([order.number, order.string, order.bool, order.date])

/** Compares two values of any types in BSON order; strings by their UTF-8 bytes. */
export function compare (a: Value, b: Value): number {
  const type = orderOf(a)
  const other = orderOf(b)
  if (type !== other) return type - other
  if (simple.has(type)) {
    if (typeof a === 'string' && typeof b === 'string' && a === b) return 0
    const x = type === order.number ? plainNumber(a) : type === order.string ? undefined : +a
    const y = type === order.number ? plainNumber(b) : type === order.string ? undefined : +b
    if (x !== undefined && y !== undefined) {
      return x < y ? -1 : x > y ? 1 : x === y ? 0 : Number.isNaN(x) ? (Number.isNaN(y) ? 0 : -1) : 1
    }
  }
  return Buffer.compare(keyOf(a), keyOf(b))
}

function plainNumber (value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (value._bsontype === 'Int32' || value._bsontype === 'Double') return value.value
  if (value._bsontype === 'Long') {
    const number = value.toNumber()
    if (Number.isSafeInteger(number)) return number
  }
  return undefined
}

/** One part of an index's or a sort's key. */
export interface KeyPart {
  path: string
  names: string[]
  direction: 1 | -1
}

export function keyParts (pattern: Doc): KeyPart[] {
  return namesOf(pattern).map((path) => {
    const direction = pattern[path]
    return { path, names: path.split('.'), direction: (typeof direction === 'object' ? Number(direction) : direction) < 0 ? -1 : 1 }
  })
}

export const digits = /^(?:0|[1-9]\d*)$/
const missing = Symbol('missing')

function put (parts: KeyPart[], values: Value[]): Buffer {
  at = 0
  for (let i = 0; i < parts.length; i++) {
    const start = at
    putValue(values[i] === missing ? null : values[i])
    if (parts[i]!.direction < 0) for (let j = start; j < at; j++) buffer[j] = ~buffer[j]!
  }
  return Buffer.from(buffer.subarray(0, at))
}

interface Cursor {
  value: Value
  depth: number
}

/**
 * The keys of a document for a compound pattern: one, or with arrays one for each distinct element.
 * `seen` is told each part that went through an array, and at which depth of its path.
 * Null if no part of the pattern is in the document and `sparse` is set.
 * Throws CannotIndexParallelArrays if two parts go through different arrays.
 */
export function documentKeys (doc: Doc, parts: KeyPart[], seen?: (part: number, depth: number) => void, sparse = false): Buffer[] | null {
  const values: Value[] = new Array(parts.length)
  let arrays = false
  let any = false
  for (let i = 0; i < parts.length; i++) {
    const names = parts[i]!.names
    let value: Value = doc
    for (let depth = 0; depth < names.length; depth++) {
      if (!isDocument(value)) {
        value = undefined
        break
      }
      value = field(value, names[depth]!)
      if (Array.isArray(value)) {
        arrays = true
        break
      }
    }
    any ||= value !== undefined
    values[i] = value === undefined ? missing : value
  }
  if (sparse && !any) return null
  if (!arrays) return [put(parts, values)]
  const keys: Buffer[] = []
  expand(parts.map(() => ({ value: doc, depth: 0 })), parts, new Array(parts.length), new Set(parts.keys()), keys, seen)
  if (keys.length === 1) return keys
  keys.sort(Buffer.compare)
  return keys.filter((key, i) => i === 0 || !key.equals(keys[i - 1]!))
}

function expand (cursors: Cursor[], parts: KeyPart[], fixed: Value[], open: Set<number>, keys: Buffer[], seen: ((part: number, depth: number) => void) | undefined): void {
  let array: Value[] | undefined
  let arrayPart = -1
  const through: number[] = []
  for (const i of open) {
    const names = parts[i]!.names
    let { value, depth } = cursors[i]!
    while (depth < names.length && value !== undefined && !Array.isArray(value)) {
      value = isDocument(value) ? field(value, names[depth]!) : undefined
      depth++
    }
    while (Array.isArray(value) && depth < names.length && digits.test(names[depth]!) && !value.some((item) => isDocument(item) && Object.hasOwn(item, names[depth]!))) {
      value = value[Number(names[depth])]
      depth++
      while (depth < names.length && value !== undefined && !Array.isArray(value)) {
        value = isDocument(value) ? field(value, names[depth]!) : undefined
        depth++
      }
    }
    if (!Array.isArray(value)) {
      fixed[i] = value === undefined ? missing : value
      continue
    }
    if (array !== undefined && array !== value) {
      const [first, second] = [parts[arrayPart]!, parts[i]!].map((part) => part.path)
      throw new CommandError('CannotIndexParallelArrays', `cannot index parallel arrays [${second!.split('.').at(-1)}] [${first!.split('.').at(-1)}]`)
    }
    array = value
    arrayPart = i
    through.push(i)
    cursors[i] = { value, depth }
    seen?.(i, depth)
  }
  if (array === undefined) {
    keys.push(put(parts, fixed))
    return
  }
  if (array.length === 0) {
    for (const i of through) fixed[i] = cursors[i]!.depth === parts[i]!.names.length ? undefined : null
    keys.push(put(parts, fixed))
    return
  }
  for (const item of array) {
    const next = cursors.slice()
    const values = fixed.slice()
    const rest = new Set<number>()
    for (const i of through) {
      const { depth } = cursors[i]!
      if (depth === parts[i]!.names.length) values[i] = item === undefined ? null : item
      else if (isDocument(item)) {
        next[i] = { value: item, depth }
        rest.add(i)
      } else values[i] = null
    }
    if (rest.size === 0) keys.push(put(parts, values))
    else expand(next, parts, values, rest, keys, seen)
  }
}

/** The key by which a document sorts: the lowest of its keys, as the server's sort key generator takes it. */
export function sortKey (doc: Doc, parts: KeyPart[]): Buffer {
  try {
    return documentKeys(doc, parts)![0]!
  } catch (error) {
    if (error instanceof CommandError) throw new CommandError('BadValue', 'cannot sort with keys that are parallel arrays')
    throw error
  }
}
