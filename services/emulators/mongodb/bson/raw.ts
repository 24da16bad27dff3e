import { arrayType, decode, documentType, join } from './encoding.ts'
import type { Doc, Value } from './values.ts'

/** Where a field of an encoded document, or an element of an array, is in its bytes. */
export interface RawField {
  type: number
  /** Of the type byte, behind the name, and behind the value. */
  start: number
  value: number
  end: number
}

/** The sizes of values by their type, for those that are stored and have no length of their own. */
const sizes = new Map([[1, 8], [7, 12], [8, 1], [9, 8], [10, 0], [16, 4], [18, 8]])
export const nullType = 10
const stringType = 2
const binaryType = 5

/** The fields of an encoded document, which may be a value within `bytes` that begins at `at`. */
export function fieldsOf (bytes: Buffer, at = 0): RawField[] {
  const end = at + bytes.readInt32LE(at) - 1
  const fields: RawField[] = []
  for (let start = at + 4; start < end;) {
    const type = bytes[start]!
    const value = bytes.indexOf(0, start + 1) + 1
    const next = value + sizeOf(bytes, type, value)
    fields.push({ type, start, value, end: next })
    start = next
  }
  return fields
}

function sizeOf (bytes: Buffer, type: number, at: number): number {
  switch (type) {
    case documentType:
    case arrayType: return bytes.readInt32LE(at)
    case stringType: return 4 + bytes.readInt32LE(at)
    case binaryType: return 5 + bytes.readInt32LE(at)
  }
  const size = sizes.get(type)
  if (size === undefined) throw new Error(`a stored value has the type ${type}`)
  return size
}

export function nameOf (bytes: Buffer, { start, value }: RawField): string {
  return bytes.toString('utf8', start + 1, value - 1)
}

/** The value of a field, decoded. */
export function valueOf (bytes: Buffer, { start, end }: RawField): Value {
  return Object.values(decode(join([bytes.subarray(start, end)])))[0]
}

/** Decodes only the fields of a document that have one of the names. */
export function decodeFields (stored: Uint8Array, names: Set<string>): Doc {
  const bytes = asBuffer(stored)
  const wanted = fieldsOf(bytes).filter((field) => names.has(nameOf(bytes, field)))
  return decode(join(wanted.map(({ start, end }) => bytes.subarray(start, end))))
}

/** The same bytes with the methods of a Buffer. */
export function asBuffer ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
