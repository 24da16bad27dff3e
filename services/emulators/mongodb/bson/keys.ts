import { BSONValue, Long } from 'bson'
import type { Binary, ObjectId } from 'bson'
import { notSupported } from '../errors.ts'
import { toNumber, typeName } from './values.ts'
import type { Doc, Value } from './values.ts'

/*
 * Keys whose order as bytes is the order of the values they stand for, as in the server's KeyString:
 * https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
 * Numbers of all types share one form. No key is a prefix of another, so a descending part is the inverted
 * bytes. `undefined` is the key of an empty array, which sorts before null.
 */
export const order = {
  undefined: 0x10,
  null: 0x14,
  number: 0x1e,
  string: 0x3c,
  object: 0x46,
  array: 0x50,
  binary: 0x5a,
  objectId: 0x64,
  bool: 0x6e,
  date: 0x78
} as const

/** The place of a value's type in the comparison order. Throws CommandNotSupported for other types. */
export function orderOf (value: Value): number {
  switch (typeof value) {
    case 'string': return order.string
    case 'boolean': return order.bool
    case 'number': return order.number
    case 'undefined': return order.undefined
  }
  if (value === null) return order.null
  if (!(value instanceof BSONValue)) {
    return Array.isArray(value) ? order.array : value instanceof Date ? order.date : order.object
  }
  switch (value._bsontype) {
    case 'Int32':
    case 'Double':
    case 'Long': return order.number
    case 'ObjectId': return order.objectId
    case 'Binary': return order.binary
    default: throw notSupported(`a comparison with the type ${typeName(value)}`)
  }
}

/** The key being written, up to `at`. One is enough: no key is made while another is under way. */
let buffer = Buffer.allocUnsafe(4096)
let at = 0

function reserve (bytes: number): void {
  if (at + bytes <= buffer.length) return
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes))
  buffer.copy(larger, 0, 0, at)
  buffer = larger
}

function putByte (byte: number): void {
  reserve(1)
  buffer[at++] = byte
}

/** Text ends in 00 01; a zero byte within it is written 00 ff. */
function putText (text: string): void {
  const start = at
  reserve(text.length * 3 + 2)
  at += buffer.write(text, at)
  if (buffer.subarray(start, at).includes(0)) {
    const plain = Buffer.from(buffer.subarray(start, at))
    at = start
    reserve(plain.length * 2 + 2)
    for (const byte of plain) {
      buffer[at++] = byte
      if (byte === 0) buffer[at++] = 0xff
    }
  }
  buffer[at++] = 0
  buffer[at++] = 1
}

function putDouble (value: number): void {
  reserve(8)
  if (Number.isNaN(value)) buffer.fill(0, at, at + 8)
  else {
    buffer.writeDoubleBE(value === 0 ? 0 : value, at)
    if (buffer[at]! & 0x80) for (let i = at; i < at + 8; i++) buffer[i] = ~buffer[i]!
    else buffer[at]! |= 0x80
  }
  at += 8
}

/** Throws CommandNotSupported for a long that a double cannot hold exactly. */
function numberOf (value: Value): number {
  const number = toNumber(value)!
  if (value instanceof Long && !Number.isSafeInteger(number)) throw notSupported('a long beyond 2^53')
  return number
}

function putNumber (value: Value): void {
  putDouble(numberOf(value))
  // Earlier versions stored the digits of larger longs after a 1
  putByte(0)
}

function putBinary (value: Binary): void {
  const bytes = value.buffer.subarray(0, value.position)
  reserve(bytes.length + 5)
  at = buffer.writeUInt32BE(bytes.length, at)
  buffer[at++] = value.sub_type
  buffer.set(bytes, at)
  at += bytes.length
}

function putDate (value: Date): void {
  reserve(8)
  buffer.writeBigInt64BE(BigInt(value.getTime()), at)
  buffer[at]! ^= 0x80
  at += 8
}

function putObject (value: Doc): void {
  for (const [name, inner] of Object.entries(value)) {
    const type = orderOf(inner)
    putByte(type)
    putText(name)
    putPayload(type, inner)
  }
  putByte(0)
}

function putPayload (type: number, value: Value): void {
  switch (type) {
    case order.string: return putText(value as string)
    case order.number: return putNumber(value)
    case order.bool: return putByte(value === true ? 1 : 0)
    case order.date: return putDate(value as Date)
    case order.binary: return putBinary(value as Binary)
    case order.object: return putObject(value as Doc)
    case order.objectId:
      reserve(12)
      buffer.set((value as ObjectId).id, at)
      at += 12
      return
    case order.array:
      for (const item of value as Value[]) putValue(item)
      putByte(0)
  }
}

function putValue (value: Value): void {
  const type = orderOf(value)
  putByte(type)
  putPayload(type, value)
}

/** One part of the key of an index or a sort. */
export interface KeyPart {
  path: string
  names: string[]
  direction: 1 | -1
}

/** The key of several values, each in the direction of its part. */
export function compoundKey (parts: KeyPart[], values: Value[]): Buffer {
  at = 0
  for (let i = 0; i < parts.length; i++) {
    const start = at
    putValue(values[i])
    if (parts[i]!.direction < 0) for (let j = start; j < at; j++) buffer[j] = ~buffer[j]!
  }
  return Buffer.from(buffer.subarray(0, at))
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

function compareNumbers (x: number, y: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x))
  return x < y ? -1 : x > y ? 1 : 0
}

/** Compares two values of any types in BSON order; strings by their UTF-8 bytes. */
export function compare (a: Value, b: Value): number {
  const type = orderOf(a)
  if (type !== orderOf(b)) return type - orderOf(b)
  if (type === order.string && a === b) return 0
  if (type === order.bool || type === order.date) return compareNumbers(Number(a), Number(b))
  if (type === order.number) return compareNumbers(numberOf(a), numberOf(b))
  return Buffer.compare(keyOf(a), keyOf(b))
}

/** Whether two values are equal as the server compares: int 1 equals double 1. */
export function equal (a: Value, b: Value): boolean {
  if (a === undefined || b === undefined) return false
  return a === b || (orderOf(a) === orderOf(b) && compare(a, b) === 0)
}
