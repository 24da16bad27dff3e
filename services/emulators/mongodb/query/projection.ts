import { decode, encode } from '../bson/encoding.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'

/** Makes of an encoded document what a client gets; `doc` is the document decoded, if it had to be. */
export type Project = (bytes: Uint8Array, doc?: Doc) => Uint8Array

/** Fields to keep or to leave out, or the ones within a field. */
type Tree = Map<string, boolean | Tree>

function place (tree: Tree, path: string, kept: boolean): void {
  const names = path.split('.')
  if (names.includes('')) throw new CommandError(40353, "FieldPath must not end with a '.'.")
  const last = names.pop()!
  for (const name of names) {
    const next = tree.get(name) ?? new Map<string, boolean | Tree>()
    if (!(next instanceof Map)) throw new CommandError(31249, `Path collision at ${path}`)
    tree.set(name, next)
    tree = next
  }
  if (tree.has(last)) throw new CommandError(31250, `Path collision at ${path}`)
  tree.set(last, kept)
}

/** The paths of a projection with whether each is kept. Throws CommandNotSupported for other values. */
function flags (spec: Doc): Array<[path: string, kept: boolean]> {
  return Object.entries(spec).map(([path, value]) => {
    const number = typeof value === 'boolean' ? Number(value) : toNumber(value)
    if (number === undefined || path.endsWith('.$')) throw notSupported(`the projection of ${path}`)
    return [path, number !== 0]
  })
}

/**
 * Compiles a projection that includes or excludes fields.
 * https://www.mongodb.com/docs/manual/reference/method/db.collection.find/#projection
 */
export function compileProjection (spec: Doc): Project | undefined {
  const all = flags(spec)
  if (all.length === 0) return undefined
  const tree: Tree = new Map()
  for (const [path, kept] of all) place(tree, path, kept)
  const others = all.filter(([path]) => path !== '_id')
  const including = others[0]?.[1] ?? all[0]![1]
  const mixed = others.find(([, kept]) => kept !== including)
  if (mixed !== undefined) {
    throw including
      ? new CommandError(31254, `Cannot do exclusion on field ${mixed[0]} in inclusion projection`)
      : new CommandError(31253, `Cannot do inclusion on field ${mixed[0]} in exclusion projection`)
  }
  if (including && !tree.has('_id')) tree.set('_id', true)
  return (bytes, doc = decode(bytes)) => encode(project(doc, tree, including))
}

function project (doc: Doc, tree: Tree, including: boolean): Doc {
  const out: Doc = {}
  for (const [name, inner] of Object.entries(doc)) {
    const value = select(inner, tree.get(name) ?? !including, including)
    if (value !== undefined) out[name] = value
  }
  return out
}

function select (value: Value, kept: boolean | Tree, including: boolean): Value {
  if (typeof kept === 'boolean') return kept ? value : undefined
  if (isDocument(value)) return project(value, kept, including)
  if (!Array.isArray(value)) return including ? undefined : value
  return value.map((item) => select(item, kept, including)).filter((item) => item !== undefined)
}
