import { BSONValue, Long } from 'bson'
import type { Binary, ObjectId } from 'bson'
import { CommandError, notSupported } from '../errors.ts'
import { field, isDocument, toNumber, typeName } from './values.ts'
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

const bytes = (...values: number[]): Buffer => Buffer.from(values)

/** Text ends in 00 01; a zero byte within it is written 00 ff. */
function textKey (text: string): Buffer {
  const plain = Buffer.from(text)
  const escape = (byte: number): number[] => byte === 0 ? [0, 0xff] : [byte]
  return Buffer.concat([plain.includes(0) ? bytes(...[...plain].flatMap(escape)) : plain, bytes(0, 1)])
}

/** Throws CommandNotSupported for a long that a double cannot hold exactly. */
function numberKey (value: Value): Buffer {
  const number = toNumber(value)!
  if (value instanceof Long && !Number.isSafeInteger(number)) throw notSupported('a long beyond 2^53')
  // The last byte is 0: earlier versions stored the digits of larger longs after a 1
  const key = Buffer.alloc(9)
  if (Number.isNaN(number)) return key
  key.writeDoubleBE(number === 0 ? 0 : number)
  if (key[0]! & 0x80) for (let i = 0; i < 8; i++) key[i] = ~key[i]!
  else key[0]! |= 0x80
  return key
}

function binaryKey (value: Binary): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(value.position)
  head[4] = value.sub_type
  return Buffer.concat([head, value.buffer.subarray(0, value.position)])
}

function dateKey (value: Date): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigInt64BE(BigInt(value.getTime()))
  key[0]! ^= 0x80
  return key
}

function objectKey (value: Doc): Buffer {
  const fields = Object.entries(value).map(([name, inner]) => {
    const type = orderOf(inner)
    return Buffer.concat([bytes(type), textKey(name), payloadOf(type, inner)])
  })
  return Buffer.concat([...fields, bytes(0)])
}

function payloadOf (type: number, value: Value): Buffer {
  switch (type) {
    case order.string: return textKey(value as string)
    case order.number: return numberKey(value)
    case order.bool: return bytes(value === true ? 1 : 0)
    case order.date: return dateKey(value as Date)
    case order.binary: return binaryKey(value as Binary)
    case order.object: return objectKey(value as Doc)
    case order.objectId: return Buffer.from((value as ObjectId).id)
    case order.array: return Buffer.concat([...(value as Value[]).map(keyOf), bytes(0)])
    default: return bytes()
  }
}

/** The key of one value, ascending. */
export function keyOf (value: Value): Buffer {
  const type = orderOf(value)
  return Buffer.concat([bytes(type), payloadOf(type, value)])
}

export const invert = (key: Buffer): Buffer => key.map((byte) => ~byte) as Buffer

/** One part of the key of an index or a sort. */
export interface KeyPart {
  path: string
  names: string[]
  direction: 1 | -1
}

/** The key of several values, each in the direction of its part. */
export function compoundKey (parts: KeyPart[], values: Value[]): Buffer {
  const keys = values.map(keyOf)
  return Buffer.concat(parts.map(({ direction }, i) => direction < 0 ? invert(keys[i]!) : keys[i]!))
}

/** Compares two values of any types in BSON order; strings by their UTF-8 bytes. */
export const compare = (a: Value, b: Value): number => Buffer.compare(keyOf(a), keyOf(b))

/** Whether two values are equal as the server compares: int 1 equals double 1. */
export function equal (a: Value, b: Value): boolean {
  return a !== undefined && b !== undefined && (a === b || compare(a, b) === 0)
}

/** The parts of a key pattern, whose directions are numbers. */
export function keyParts (pattern: Doc): KeyPart[] {
  return Object.entries(pattern).map(([path, direction]) => (
    { path, names: path.split('.'), direction: toNumber(direction)! < 0 ? -1 : 1 }
  ))
}

/**
 * The keys of a document for a compound pattern: one, or with an array one for each distinct element. Calls
 * `onArray` with each part whose path goes through an array. Throws CannotIndexParallelArrays for several
 * arrays.
 */
export function documentKeys (doc: Doc, parts: KeyPart[], onArray?: (part: number) => void): Buffer[] {
  const keys: Buffer[] = []
  const places = parts.map((_, part): Place => ({ part, value: doc, depth: 0 }))
  expand(places, { parts, keys, onArray, values: new Array(parts.length) })
  if (keys.length === 1) return keys
  keys.sort(Buffer.compare)
  return keys.filter((key, i) => i === 0 || !key.equals(keys[i - 1]!))
}

/** How far the path of a part has been followed. */
interface Place { part: number, value: Value, depth: number }

interface Expansion {
  parts: KeyPart[]
  /** The values of the parts whose path has been followed to its end. */
  values: Value[]
  keys: Buffer[]
  onArray: ((part: number) => void) | undefined
}

/** Follows a path until its end or an array, whose elements have to be taken one by one. */
function follow ({ part, value, depth }: Place, names: string[]): Place {
  for (; depth < names.length && value !== undefined && !Array.isArray(value); depth++) {
    value = isDocument(value) ? field(value, names[depth]!) : undefined
  }
  return { part, value, depth }
}

function expand (places: Place[], expansion: Expansion): void {
  const { parts, values, keys, onArray } = expansion
  const through: Place[] = []
  for (const place of places) {
    const next = follow(place, parts[place.part]!.names)
    if (!Array.isArray(next.value)) {
      values[place.part] = next.value ?? null
      continue
    }
    if (through.length > 0 && through[0]!.value !== next.value) refuseParallel(parts, through[0]!, next)
    through.push(next)
    onArray?.(place.part)
  }
  const array = through[0]?.value as Value[] | undefined
  if (array === undefined) {
    keys.push(compoundKey(parts, values))
  } else if (array.length === 0) {
    for (const { part, depth } of through) {
      values[part] = depth === parts[part]!.names.length ? undefined : null
    }
    keys.push(compoundKey(parts, values))
  } else {
    for (const item of array) expandItem(item, through, { ...expansion, values: values.slice() })
  }
}

function expandItem (item: Value, through: Place[], expansion: Expansion): void {
  const { parts, values, keys } = expansion
  const rest: Place[] = []
  for (const { part, depth } of through) {
    if (depth === parts[part]!.names.length) values[part] = item ?? null
    else if (isDocument(item)) rest.push({ part, value: item, depth })
    else values[part] = null
  }
  if (rest.length === 0) keys.push(compoundKey(parts, values))
  else expand(rest, expansion)
}

function refuseParallel (parts: KeyPart[], first: Place, second: Place): never {
  const [a, b] = [first, second].map(({ part }) => parts[part]!.names.at(-1))
  throw new CommandError('CannotIndexParallelArrays', `cannot index parallel arrays [${b}] [${a}]`)
}

/** The key by which a document sorts: the lowest of its keys. Throws BadValue for parallel arrays. */
export function sortKey (doc: Doc, parts: KeyPart[]): Buffer {
  try {
    return documentKeys(doc, parts)[0]!
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 171) throw error
    throw new CommandError('BadValue', 'cannot sort with keys that are parallel arrays')
  }
}
