import { hash } from 'node:crypto'
import { findRepeatedName } from '#common/http/json-checks.ts'
import { parseExact } from './fhir/source.ts'
import type { Piece } from './pieces.ts'

/** What an import stores: resources of FHIR, or patients and test results as the API has them. */
export const TYPES = ['Patient', 'DiagnosticReport', 'Observation', 'patient', 'test'] as const
export type Type = typeof TYPES[number]

/** A resource as it is staged. */
export interface Resource {
  type: string
  id: string
  /** The URL under which a Bundle has it. */
  url?: string
  /** The reference to its patient. */
  subject?: string
  json: string
  /** What must be the same if a resource occurs twice; by default all of it. */
  compared?: string
  place: string
}

/** What cannot be staged. */
export interface Unreadable {
  place: string
  text: string
  message: string
}

type Json = Record<string, any>

/** The id of a resource without one, made from its type and the digest of its content. */
type IdOf = (type: string, digest: string) => string

interface Context {
  place: string
  idOf: IdOf
}

/** The resources of a piece of an input, those of other types too. */
export function * resourcesIn (
  piece: Piece, idOf: IdOf = (_type, digest) => digest
): Generator<Resource | Unreadable> {
  const { place, text } = piece
  if (text === undefined) return yield { place, text: '', message: 'is not UTF-8, or larger than 64 MiB' }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return yield { place, text, message: 'is not JSON' }
  }
  if (findRepeatedName(text)) return yield { place, text, message: 'has a property twice' }
  const found = [...unwrap(value, () => exact(text), { place, idOf })]
  yield * found.length > 0 || isEmptyBundle(value)
    ? found
    : [{ place, text, message: 'has no resource and no patient' }]
}

/** The parsed text whose numbers keep their digits; only made if it differs from the whole text. */
const exact = (text: string) => parseExact(text) as Json

function isEmptyBundle (value: unknown) {
  return isObject(value) && value.resourceType === 'Bundle'
}

const MAX_DEPTH = 16

function * unwrap (
  value: unknown, exactly: () => any, context: Context, url?: string, depth = 0
): Generator<Resource | Unreadable> {
  if (depth > MAX_DEPTH || typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    const items = lazy(exactly)
    for (const [i, item] of value.entries()) {
      yield * unwrap(item, () => items()[i], context, undefined, depth + 1)
    }
    return
  }
  const json = value as Json
  const { place, idOf } = context
  const inner = (name: string) => () => exactly()[name]
  if (typeof json.line === 'string' && json.reason) yield * resourcesIn({ text: json.line, place }, idOf)
  else if (json.resourceType === 'Bundle') {
    yield * unwrap(json.entry ?? [], inner('entry'), context, url, depth + 1)
  } else if (typeof json.resourceType === 'string') yield ofFhir(json, exactly, context, url)
  else if (isObject(json.test) && typeof json.of === 'string') {
    yield { type: 'test', id: String(json.id), subject: json.of, json: JSON.stringify(exactly().test), place }
  } else if (isObject(json.resource)) {
    const { fullUrl } = json
    const own = typeof fullUrl === 'string' ? fullUrl : url
    yield * unwrap(json.resource, inner('resource'), context, own, depth + 1)
  } else if (isObject(json.patient)) yield * ofOurs(json, exactly, context)
}

function ofFhir (json: Json, exactly: () => any, { place, idOf }: Context, url?: string): Resource {
  const { meta, text: narrative, ...content } = exactly()
  const text = JSON.stringify(exactly())
  const id = typeof json.id === 'string' ? json.id : url ?? idOf(json.resourceType, hash('sha256', text))
  const reference = (json.subject ?? json.patient)?.reference
  return {
    type: json.resourceType,
    id,
    json: text,
    place,
    // Servers change these whenever they send a resource
    ...((meta !== undefined || narrative !== undefined) && { compared: JSON.stringify(content) }),
    ...(url !== undefined && url !== id && { url }),
    ...(typeof reference === 'string' && { subject: reference })
  }
}

function * ofOurs (
  json: Json, exactly: () => any, { place, idOf }: Context
): Generator<Resource | Unreadable> {
  const { patient: { id: given, ...patient }, tests = [], ...others } = exactly()
  const text = JSON.stringify(patient)
  if (Object.keys(others).some((name) => !['reason', 'resource'].includes(name)) || !Array.isArray(tests)) {
    const message = 'must have a patient and tests, and nothing else'
    return yield { place, text: JSON.stringify(json), message }
  }
  const id = typeof given === 'string' ? given : idOf('patient', hash('sha256', text))
  yield { type: 'patient', id, json: text, place }
  for (const [i, test] of tests.entries()) {
    const { id: ofTest, ...details } = isObject(test) ? test : { id: undefined }
    const own = typeof ofTest === 'string' ? ofTest : String(i)
    yield { type: 'test', id: `${id}/${own}`, subject: id, json: JSON.stringify(details), place }
  }
}

function isObject (value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function lazy<T> (make: () => T) {
  let made: T | undefined
  return () => (made ??= make())
}

/** A UUID (RFC 9562, version 5) of what identifies a resource, for its Idempotency-Key. */
export function keyOf (...parts: string[]) {
  const digits = hash('sha1', JSON.stringify(['import', ...parts])).slice(0, 32).split('')
  digits[12] = '5'
  digits[16] = (0x8 | (Number.parseInt(digits[16]!, 16) & 0x3)).toString(16)
  return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
