import { CommandError } from '../errors.ts'
import { compoundKey } from './keys.ts'
import type { KeyPart } from './keys.ts'
import { field, isDocument, toNumber } from './values.ts'
import type { Doc, Value } from './values.ts'

/** The parts of a key pattern, whose directions are numbers. */
export function keyParts (pattern: Doc): KeyPart[] {
  return Object.entries(pattern).map(([path, direction]) => (
    { path, names: path.split('.'), direction: toNumber(direction)! < 0 ? -1 : 1 }
  ))
}

/**
 * The keys of a document for a compound pattern: one, or with an array one for each distinct element. Calls
 * `onArray` if a path goes through an array. Throws CannotIndexParallelArrays for several arrays.
 */
export function documentKeys (doc: Doc, parts: KeyPart[], onArray?: () => void): Buffer[] {
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
  onArray: (() => void) | undefined
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
    onArray?.()
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
