import { compoundKey, documentKeys, keyOf, keyParts } from '../bson/keys.ts'
import type { KeyPart } from '../bson/keys.ts'
import { showValue, toNumber, valuesAt } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'

/** What createIndexes asks for. `seconds` is a TTL. */
export interface IndexSpec {
  name: string
  parts: KeyPart[]
  unique: boolean
  seconds: number | undefined
}

/** Options that older versions stored and this one does not have. */
const formerOptions = ['sparse', 'partialFilterExpression', 'hidden']

/** The specification of an index as it is stored, undefined for a kind that is no longer supported. */
export function parseSpec (stored: Doc): IndexSpec | undefined {
  if (formerOptions.some((option) => Object.hasOwn(stored, option))) return undefined
  return {
    name: stored.name as string,
    parts: keyParts(stored.key as Doc),
    unique: stored.unique === true,
    seconds: toNumber(stored.expireAfterSeconds)
  }
}

export const idSpec: IndexSpec = {
  name: '_id_', parts: keyParts({ _id: 1 }), unique: false, seconds: undefined
}

/** The column `arrays` of an index some of whose parts have met an array. */
export function storedArrays (arrays: Set<number>): string {
  return JSON.stringify({ parts: [...arrays] })
}

/** The parts of an index that have met an array. Earlier versions did not say which: then it may be any. */
export function parseArrays (stored: string, { parts }: IndexSpec): Set<number> {
  if (!/\d/.test(stored)) return new Set()
  const known = JSON.parse(stored) as { parts?: number[] }
  return new Set(known.parts ?? parts.keys())
}

/** An index. Its entries are (key, rid); those of `_id` are in the table of the documents. */
export class Index {
  readonly id: number
  readonly spec: IndexSpec
  readonly name: string
  readonly parts: KeyPart[]
  /** The parts that have ever met an array, of which each element has a key. */
  readonly arrays: Set<number>

  /** The id 0 is that of the index on `_id`. */
  constructor (id: number, spec: IndexSpec, arrays = new Set<number>()) {
    this.id = id
    this.spec = spec
    this.name = spec.name
    this.parts = spec.parts
    this.arrays = arrays
  }

  get isId (): boolean {
    return this.id === 0
  }

  /** Whether a document may have several entries. */
  get multikey (): boolean {
    return this.arrays.size > 0
  }

  get unique (): boolean {
    return this.isId || this.spec.unique
  }

  /** Its key pattern, for clients. */
  get pattern (): Doc {
    return Object.fromEntries(this.parts.map(({ path, direction }) => [path, direction]))
  }

  keys (doc: Doc, onArray?: (part: number) => void): Buffer[] {
    return this.isId ? [keyOf(doc._id)] : documentKeys(doc, this.parts, onArray)
  }
}

/** An index as listIndexes answers it, and as it is stored. */
export function describeIndex (index: Index): Doc {
  const { name, unique, seconds } = index.spec
  return {
    v: 2,
    key: index.pattern,
    name,
    ...(unique && { unique }),
    ...(seconds !== undefined && { expireAfterSeconds: seconds })
  }
}

/** The error for a document one of whose keys an index has already. */
export function duplicateKey (namespace: string, index: Index, doc: Doc, key: Buffer): CommandError {
  const keyValue = Object.fromEntries(index.parts.map((part) => [part.path, valueOf(part, index, doc, key)]))
  const shown = Object.entries(keyValue).map(([path, value]) => `${path}: ${showValue(value)}`).join(', ')
  const message =
    `E11000 duplicate key error collection: ${namespace} index: ${index.name} dup key: { ${shown} }`
  return new CommandError('DuplicateKey', message, { keyPattern: index.pattern, keyValue })
}

/** The value in a key: of an array the element that made it, if the index has only this part. */
function valueOf (part: KeyPart, index: Index, doc: Doc, key: Buffer): Value {
  const values = valuesAt(doc, part.names)
  const made = index.parts.length > 1
    ? undefined
    : values.find((value) => compoundKey([part], [value]).equals(key))
  return made ?? values[0] ?? null
}
