import { CommandError } from '../errors.ts'
import { BSON, Double, Int32, Long, ObjectId, deserialize, serialize } from 'bson'

/** Any BSON value as `decode` gives it: numbers stay Int32, Double, Long or Decimal128. */
export type Value = any
export type Doc = Record<string, Value>

/** A field of an encoded document: `start` is its type byte, `value` its first value byte, `end` one past its last. */
export interface Element {
  type: number
  name: string
  start: number
  value: number
  end: number
}

const exact = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true, validation: { utf8: false as const } }

/** Decodes without losing the type of a number. Throws BSONError on bytes that are no BSON document. */
export function decode (bytes: Uint8Array): Doc {
  try {
    const doc = deserialize(bytes, exact)
    if (hasNumericNames(doc)) keepOrder(doc, bytes)
    return doc
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep()
    throw error
  }
}

export function encode (doc: Doc): Buffer {
  return serialize(hasNumericNames(doc) ? ordered(doc) as Doc : doc, { ignoreUndefined: false }) as Buffer
}

/*
 * JavaScript moves names that are whole numbers to the front of an object. A document that has such a name keeps the
 * order of its fields beside them.
 */
const order = Symbol('order of fields')
const numeric = /^(?:0|[1-9]\d*)$/

/** The names of a document's fields in their order. */
export function namesOf (doc: Doc): string[] {
  return (doc as { [order]?: string[] })[order] ?? Object.keys(doc)
}

function setOrder (doc: Doc, names: string[]): void {
  (doc as { [order]?: string[] })[order] = names
}

function hasNumericNames (value: Value): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasNumericNames)
  if (!isDocument(value)) return false
  for (const name in value) if (numeric.test(name) || hasNumericNames(value[name])) return true
  return false
}

function keepOrder (value: Value, bytes: Uint8Array): void {
  const fields = elements(bytes)
  if (!Array.isArray(value) && fields.some(({ name }) => numeric.test(name))) {
    setOrder(value, [...new Set(fields.map(({ name }) => name))])
  }
  for (const { name, type, value: from, end } of fields) {
    if ((type === 3 || type === 4) && (isDocument(value[name]) || Array.isArray(value[name]))) {
      keepOrder(value[name], bytes.subarray(from, end))
    }
  }
}

/** The value with its documents as Maps, which the encoder takes in their order. */
function ordered (value: Value): Value {
  if (Array.isArray(value)) return value.map(ordered)
  return isDocument(value) ? new Map(namesOf(fieldsOf(value)).map((name) => [name, ordered(value[name])])) : value
}

/** The most levels that a document may nest, itself included. */
const maxDepth = 180

/** Throws Overflow for a document that nests too deep. */
export function checkDepth (value: Value, depth = 1): void {
  if (depth > maxDepth) throw tooDeep()
  for (const item of Object.values(value)) {
    if (Array.isArray(item) || isDocument(item)) checkDepth(item, depth + 1)
  }
}

const tooDeep = (): CommandError =>
  new CommandError('Overflow', `BSONObj exceeds maximum nested object depth: ${maxDepth}`)

/** A number of any BSON number type as a JavaScript number, undefined for anything else. */
export function toNumber (value: Value): number | undefined {
  if (typeof value === 'number') return value
  switch (value?._bsontype) {
    case 'Int32':
    case 'Double': return value.value
    case 'Long': return value.toNumber()
    case 'Decimal128': return Number(value.toString())
    default: return undefined
  }
}

export function isDocument (value: Value): value is Doc {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && (value._bsontype === undefined || value._bsontype === 'DBRef') && !(value instanceof Date)
}

/** The driver's `deserialize` turns `{ $ref, $id }` into a DBRef; the server sees a plain document. */
export function fieldsOf (value: Doc): Doc {
  return value._bsontype === 'DBRef' ? { $ref: value.collection, $id: value.oid, ...(value.db ? { $db: value.db } : {}), ...value.fields } : value
}

/** Own field of a document, undefined if there is none (or if its value is BSON undefined). */
export function field (doc: Doc, name: string): Value {
  if (doc._bsontype === 'DBRef') doc = fieldsOf(doc)
  const value = doc[name]
  return value !== undefined && Object.hasOwn(doc, name) ? value : undefined
}

export function setField (doc: Doc, name: string, value: Value): void {
  if (name === '__proto__') Object.defineProperty(doc, name, { value, configurable: true, enumerable: true, writable: true })
  else if (Object.hasOwn(doc, name)) doc[name] = value
  else {
    if (Object.hasOwn(doc, order) || numeric.test(name)) setOrder(doc, [...namesOf(doc), name])
    doc[name] = value
  }
}

export function removeField (doc: Doc, name: string): void {
  delete doc[name]
  if (Object.hasOwn(doc, order)) setOrder(doc, namesOf(doc).filter((other) => other !== name))
}

/** The fields of an encoded document in their order. */
export function elements (bytes: Uint8Array): Element[] {
  const found: Element[] = []
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const [type, nameOffset, nameLength, offset, length] of BSON.onDemand.parseToElements(bytes)) {
    found.push({
      type,
      name: view.toString('utf8', nameOffset, nameOffset + nameLength),
      start: nameOffset - 1,
      value: offset,
      end: offset + length
    })
  }
  return found
}

/** A document of encoded fields, each one complete with type byte and name. */
export function join (fields: Uint8Array[]): Buffer {
  let length = 5
  for (const f of fields) length += f.length
  const out = Buffer.allocUnsafe(length)
  out.writeInt32LE(length, 0)
  let at = 4
  for (const f of fields) {
    out.set(f, at)
    at += f.length
  }
  out[at] = 0
  return out
}

/** One encoded field, complete with type byte and name. */
export function encodeField (name: string, value: Value): Buffer {
  const doc = encode(Object.defineProperty({}, name, { value, enumerable: true }))
  return doc.subarray(4, doc.length - 1)
}

/** One encoded field whose value is a document (type 3) or an array (type 4) that is encoded already. */
export function rawField (type: 3 | 4, name: string, value: Uint8Array): Buffer {
  const length = Buffer.byteLength(name)
  const out = Buffer.allocUnsafe(length + 2 + value.length)
  out[0] = type
  out.write(name, 1)
  out[length + 1] = 0
  out.set(value, length + 2)
  return out
}

/** `ok: 1`, as a double. */
export const okField = encodeField('ok', new Double(1))

const indexNames: Buffer[] = []

/** An encoded array of documents that are encoded already. */
export function joinArray (docs: Uint8Array[]): Buffer {
  let length = 5
  for (let i = 0; i < docs.length; i++) {
    indexNames[i] ??= Buffer.from(`${i}\0`)
    length += 1 + indexNames[i]!.length + docs[i]!.length
  }
  const out = Buffer.allocUnsafe(length)
  out.writeInt32LE(length, 0)
  let at = 4
  for (let i = 0; i < docs.length; i++) {
    out[at++] = 3
    out.set(indexNames[i]!, at)
    at += indexNames[i]!.length
    out.set(docs[i]!, at)
    at += docs[i]!.length
  }
  out[at] = 0
  return out
}

/**
 * The document as it is stored: with `_id` in front, made here if there is none, as a server does on insert.
 */
export function withId (bytes: Uint8Array, doc: Doc): { bytes: Uint8Array, doc: Doc } {
  if (Object.hasOwn(doc, '_id')) {
    if (bytes[5] === 0x5f && bytes[6] === 0x69 && bytes[7] === 0x64 && bytes[8] === 0) return { bytes, doc }
    const fields = elements(bytes)
    const id = fields.find((f) => f.name === '_id')!
    const rest = fields.filter((f) => f.name !== '_id')
    return { bytes: join([id, ...rest].map((f) => bytes.subarray(f.start, f.end))), doc: { _id: doc._id, ...doc } }
  }
  const _id = new ObjectId()
  return { bytes: join([encodeField('_id', _id), bytes.subarray(4, bytes.length - 1)]), doc: { _id, ...doc } }
}

/**
 * Encodes a changed document, copying every top-level field not named in `touched` from the old bytes,
 * so that what an update did not touch keeps its exact bytes and place.
 */
export function patch (bytes: Uint8Array, doc: Doc, touched: Set<string>): Buffer {
  const fields: Uint8Array[] = []
  const seen = new Set<string>()
  for (const f of elements(bytes)) {
    seen.add(f.name)
    if (!touched.has(f.name)) fields.push(bytes.subarray(f.start, f.end))
    else if (Object.hasOwn(doc, f.name)) fields.push(encodeField(f.name, doc[f.name]))
  }
  for (const name of namesOf(doc)) {
    if (!seen.has(name)) fields.push(encodeField(name, doc[name]))
  }
  return join(fields)
}

/** A whole number as the type a server would give it: int if it fits, else long. */
export function integer (value: number): Int32 | Long {
  return value >= -0x80000000 && value <= 0x7fffffff ? new Int32(value) : Long.fromNumber(value)
}

function mapped (doc: Doc, change: (value: Value, name: string) => Value): Doc {
  const out: Doc = {}
  for (const name of namesOf(doc)) setField(out, name, change(doc[name], name))
  return out
}

/** Specs and options with JavaScript numbers. */
export function loose (value: Value): Value {
  if (Array.isArray(value)) return value.map(loose)
  if (value?._bsontype === 'Int32' || value?._bsontype === 'Double') return value.value
  if (value?._bsontype === 'Long') return value.toNumber()
  if (typeof value !== 'object' || value === null || value._bsontype !== undefined || value instanceof Date) return value
  return mapped(value, (item, name) => name === 'partialFilterExpression' ? item : loose(item))
}

/** JavaScript's whole numbers as BSON's ints and longs. */
export function expand (value: Value): Value {
  if (typeof value === 'number' && Number.isInteger(value)) return integer(value)
  if (Array.isArray(value)) return value.map(expand)
  if (typeof value !== 'object' || value === null || value._bsontype !== undefined || value instanceof Date) return value
  return mapped(value, expand)
}
