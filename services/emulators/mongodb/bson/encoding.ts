import { BSON, BSONValue, Double, ObjectId, deserialize, serialize } from 'bson'
import { CommandError, notSupported } from '../errors.ts'
import { isDocument, namesOf, setOrder, typeName, wholeNumber } from './values.ts'
import type { Doc, Value } from './values.ts'

/**
 * A field of an encoded document: `start` is its type byte, `value` its first value byte, `end` one past its
 * last.
 */
export interface Element {
  type: number
  name: string
  start: number
  value: number
  end: number
}

/** The types of an element whose value is a document or an array. */
const documentType = 3
const arrayType = 4

/** Decodes without losing the type of a number. Throws BSONError on bytes that are no BSON document. */
export function decode (bytes: Uint8Array): Doc {
  try {
    const doc: Doc = deserialize(bytes, {
      promoteValues: false,
      promoteLongs: false,
      promoteBuffers: false,
      bsonRegExp: true,
      validation: { utf8: false }
    })
    if (hasNumericNames(doc)) keepOrder(doc, bytes)
    return doc
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep()
    throw error
  }
}

export function encode (doc: Doc): Buffer {
  // the encoder returns a Buffer in Node
  return serialize(hasNumericNames(doc) ? ordered(doc) as Doc : doc, { ignoreUndefined: false }) as Buffer
}

function hasNumericNames (value: Value): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasNumericNames)
  if (!isDocument(value)) return false
  for (const name in value) if (wholeNumber.test(name) || hasNumericNames(value[name])) return true
  return false
}

function keepOrder (value: Doc, bytes: Uint8Array): void {
  const fields = elements(bytes)
  if (!Array.isArray(value) && fields.some(({ name }) => wholeNumber.test(name))) {
    setOrder(value, [...new Set(fields.map(({ name }) => name))])
  }
  for (const { name, value: from, end } of fields) {
    const inner = value[name]
    if (isDocument(inner) || Array.isArray(inner)) keepOrder(inner as Doc, bytes.subarray(from, end))
  }
}

/** The value with its documents as Maps, which the encoder takes in their order. */
function ordered (value: Value): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  return isDocument(value) ? new Map(namesOf(value).map((name) => [name, ordered(value[name])])) : value
}

/** The most levels that a document may nest, itself included. */
const maxDepth = 180

const tooDeep = (): CommandError =>
  new CommandError('Overflow', `BSONObj exceeds maximum nested object depth: ${maxDepth}`)

/**
 * Throws Overflow for a document that nests too deep, CommandNotSupported for a value that cannot be stored.
 */
export function checkStorable (value: Doc | Value[], depth = 1): void {
  if (depth > maxDepth) throw tooDeep()
  for (const item of Object.values(value)) {
    if (Array.isArray(item) || isDocument(item)) checkStorable(item, depth + 1)
    else if (!isStorable(item)) throw notSupported(`the type ${typeName(item)}`)
  }
}

const storableTypes = new Set(['Int32', 'Double', 'Long', 'ObjectId', 'Binary'])

function isStorable (value: Value): boolean {
  return value instanceof BSONValue ? storableTypes.has(value._bsontype) : value !== undefined
}

/** The fields of an encoded document in their order. */
export function elements (bytes: Uint8Array): Element[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: Element[] = []
  for (const [type, nameStart, nameLength, value, length] of BSON.onDemand.parseToElements(bytes)) {
    const name = view.toString('utf8', nameStart, nameStart + nameLength)
    found.push({ type, name, start: nameStart - 1, value, end: value + length })
  }
  return found
}

/** A document of encoded fields, each complete with type byte and name. */
export function join (fields: Uint8Array[]): Buffer {
  let length = 5
  for (const field of fields) length += field.length
  const out = Buffer.allocUnsafe(length)
  let at = out.writeInt32LE(length, 0)
  for (const field of fields) {
    out.set(field, at)
    at += field.length
  }
  out[at] = 0
  return out
}

/** An encoded field, complete with type byte and name. */
export function encodeField (name: string, value: Value): Buffer {
  const doc = encode(Object.defineProperty({}, name, { value, enumerable: true }))
  return doc.subarray(4, doc.length - 1)
}

function rawField (type: number, name: string, value: Uint8Array): Buffer {
  const length = Buffer.byteLength(name)
  const out = Buffer.allocUnsafe(length + 2 + value.length)
  out[0] = type
  out.write(name, 1)
  out[length + 1] = 0
  out.set(value, length + 2)
  return out
}

/** An encoded field whose value is an encoded document. */
export function documentField (name: string, value: Uint8Array): Buffer {
  return rawField(documentType, name, value)
}

/** `ok: 1`, as a double. */
export const okField = encodeField('ok', new Double(1))

const positions: Buffer[] = []

/** An encoded field whose value is an array of encoded documents. */
export function arrayField (name: string, docs: Uint8Array[]): Buffer {
  let length = 5
  for (let i = 0; i < docs.length; i++) {
    positions[i] ??= Buffer.from(`${i}\0`)
    length += 1 + positions[i]!.length + docs[i]!.length
  }
  const out = Buffer.allocUnsafe(length)
  let at = out.writeInt32LE(length, 0)
  for (let i = 0; i < docs.length; i++) {
    out[at++] = documentType
    out.set(positions[i]!, at)
    at += positions[i]!.length
    out.set(docs[i]!, at)
    at += docs[i]!.length
  }
  out[at] = 0
  return rawField(arrayType, name, out)
}

export interface Stored { bytes: Uint8Array, doc: Doc }

const idName = Buffer.from('_id\0')

/** The document as it is stored: with `_id` in front, made here if there is none. */
export function withId (bytes: Uint8Array, doc: Doc, id: Value = new ObjectId()): Stored {
  if (!Object.hasOwn(doc, '_id')) {
    const placed = join([encodeField('_id', id), bytes.subarray(4, bytes.length - 1)])
    return { bytes: placed, doc: { _id: id, ...doc } }
  }
  if (idName.equals(bytes.subarray(5, 9))) return { bytes, doc }
  const fields = elements(bytes)
  const first = fields.find(({ name }) => name === '_id')!
  const rest = fields.filter(({ name }) => name !== '_id')
  const placed = join([first, ...rest].map(({ start, end }) => bytes.subarray(start, end)))
  return { bytes: placed, doc: { _id: doc._id, ...doc } }
}

/**
 * Encodes a changed document. Top-level fields that are not named in `touched` are copied from the old bytes,
 * so that they keep their exact bytes and place.
 */
export function patch (bytes: Uint8Array, doc: Doc, touched: Set<string>): Buffer {
  const fields: Uint8Array[] = []
  const seen = new Set<string>()
  for (const { name, start, end } of elements(bytes)) {
    seen.add(name)
    if (!touched.has(name)) fields.push(bytes.subarray(start, end))
    else if (Object.hasOwn(doc, name)) fields.push(encodeField(name, doc[name]))
  }
  for (const name of namesOf(doc)) if (!seen.has(name)) fields.push(encodeField(name, doc[name]))
  return join(fields)
}
