import { BSONValue, Double, Long, ObjectId, deserialize, serialize } from 'bson'
import { CommandError, notSupported } from '../errors.ts'
import { isDocument, typeName } from './values.ts'
import type { Doc, Value } from './values.ts'

/** The most levels that a document may nest, itself included. */
const maxDepth = 180

const tooDeep = (): CommandError =>
  new CommandError('Overflow', `BSONObj exceeds maximum nested object depth: ${maxDepth}`)

/** Decodes what is stored, without losing the type of a number. */
export function decode (bytes: Uint8Array): Doc {
  return deserialize(bytes, {
    promoteValues: false,
    promoteLongs: false,
    promoteBuffers: false,
    bsonRegExp: true,
    validation: { utf8: false }
  })
}

/**
 * Decodes what a client sent. Throws InvalidBSON, Overflow if it nests too deep, CommandNotSupported for
 * names and paths that JavaScript objects do not keep as they are.
 */
export function decodeInput (bytes: Uint8Array): Doc {
  try {
    const doc = decode(bytes)
    checkNames(doc)
    return doc
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw error instanceof RangeError ? tooDeep() : new CommandError('InvalidBSON', (error as Error).message)
  }
}

/** JavaScript moves names that are whole numbers to the front of an object. */
const unsupportedName = /(?:^|\.)(?:0|[1-9]\d*|__proto__)(?:\.|$)/

function checkNames (value: Value): void {
  if (Array.isArray(value)) value.forEach(checkNames)
  else if (isDocument(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (unsupportedName.test(name)) throw notSupported(`the field name ${name}`)
      checkNames(inner)
    }
  }
}

export function encode (doc: Doc): Buffer {
  // The encoder returns a Buffer in Node
  return serialize(doc, { ignoreUndefined: false }) as Buffer
}

/** Throws Overflow for a document that nests too deep, CommandNotSupported for other types of values. */
export function checkStorable (value: Doc | Value[], depth = 1): void {
  if (depth > maxDepth) throw tooDeep()
  for (const item of Object.values(value)) {
    if (Array.isArray(item) || isDocument(item)) checkStorable(item, depth + 1)
    else if (!isStorable(item)) throw notSupported(`the type ${typeName(item)}`)
  }
}

const storableTypes = new Set(['Int32', 'Double', 'Long', 'ObjectId', 'Binary'])

function isStorable (value: Value): boolean {
  if (value instanceof Long && !Number.isSafeInteger(value.toNumber())) return false
  return value instanceof BSONValue ? storableTypes.has(value._bsontype) : value !== undefined
}

export interface Stored { bytes: Uint8Array, doc: Doc }

/** A document as it is stored: with `_id` in front, `id` if it has none. */
export function withId (doc: Doc, id: Value = new ObjectId()): Stored {
  const stored = { _id: id, ...doc }
  return { bytes: encode(stored), doc: stored }
}

/** The types of an element whose value is a document or an array. */
export const documentType = 3
export const arrayType = 4

/** A document of encoded fields, each complete with type byte and name. */
export function join (fields: Uint8Array[]): Buffer {
  const size = Buffer.alloc(4)
  const doc = Buffer.concat([size, ...fields, Buffer.alloc(1)])
  doc.writeInt32LE(doc.length)
  return doc
}

/** An encoded field, complete with type byte and name. */
export function encodeField (name: string, value: Value): Buffer {
  return encode({ [name]: value }).subarray(4, -1)
}

/** An encoded field of an encoded value. */
export const rawField = (type: number, name: string, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), value])

/** An encoded field whose value is an encoded document. */
export function documentField (name: string, value: Uint8Array): Buffer {
  return rawField(documentType, name, value)
}

/** An encoded field whose value is an array of encoded documents. */
export function arrayField (name: string, docs: Uint8Array[]): Buffer {
  return rawField(arrayType, name, join(docs.map((doc, i) => documentField(String(i), doc))))
}

/** `ok: 1`, as a double. */
export const okField = encodeField('ok', new Double(1))
