import type { Doc, Value } from '../bson/bson.ts'
import { isDocument, namesOf, setField, toNumber } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'
import type { Filter, Leaf } from './filter.ts'
import { isTrue, parseFilter } from './filter.ts'
import { matchedElement } from '../update/update.ts'

/** What is done with one field: kept, dropped, cut, or gone into. */
type Step = true | false | { slice: [skip: number, count: number] } | { element: Leaf } | { first: true } | Tree
interface Tree { fields: Map<string, Step> }

const computed = (what: string): CommandError =>
  new CommandError('CommandNotSupported', `${what} in a projection is not supported by this database`)

export type Project = (doc: Doc, filter?: Filter) => Doc

const isTree = (step: Step | undefined): step is Tree => typeof step === 'object' && 'fields' in step

function place (tree: Tree, path: string, step: Step): void {
  const names = path.split('.')
  if (names.includes('')) throw new CommandError(40353, "FieldPath must not end with a '.'.")
  for (const name of names.slice(0, -1)) {
    let next = tree.fields.get(name)
    if (next === undefined) tree.fields.set(name, next = { fields: new Map() })
    if (!isTree(next)) throw new CommandError(31249, `Path collision at ${path} remaining portion ${names.slice(names.indexOf(name) + 1).join('.')}`)
    tree = next
  }
  if (tree.fields.has(names.at(-1)!)) throw new CommandError(31250, `Path collision at ${path}`)
  tree.fields.set(names.at(-1)!, step)
}

/**
 * Compiles a projection, of find or of $project (`stage`).
 * https://www.mongodb.com/docs/manual/reference/method/db.collection.find/#projection
 */
export function projection (spec: Doc, stage = false): Project {
  const tree: Tree = { fields: new Map() }
  let inclusive: boolean | undefined
  let id: boolean | undefined
  const decide = (including: boolean, path: string): void => {
    if (inclusive !== undefined && inclusive !== including) {
      throw including
        ? new CommandError(31253, `Cannot do inclusion on field ${path} in exclusion projection`)
        : new CommandError(31254, `Cannot do exclusion on field ${path} in inclusion projection`)
    }
    inclusive = including
  }
  const read = (path: string, value: Value): void => {
    const number = typeof value === 'boolean' ? Number(value) : toNumber(value)
    if (number !== undefined) {
      if (path === '_id') id = isTrue(value)
      else decide(isTrue(value), path)
      place(tree, path, isTrue(value))
    } else if (isDocument(value)) {
      const operator = Object.keys(value)[0]
      if (operator === undefined) {
        throw new CommandError(51270, 'An empty sub-projection is not a valid value. Found empty object at path')
      } else if (operator[0] !== '$') for (const name of Object.keys(value)) read(`${path}.${name}`, value[name])
      else if (!stage && operator === '$slice' && !(Array.isArray(value.$slice) && typeof value.$slice[0] === 'string')) {
        place(tree, path, { slice: sliceOf(value.$slice) })
      } else if (!stage && operator === '$elemMatch') {
        decide(true, path)
        place(tree, path, { element: parseFilter({ x: value }) as Leaf })
      } else throw computed(operator)
    } else throw computed('a value')
  }
  for (const path of Object.keys(spec)) {
    if (path.endsWith('.$') && !stage) {
      decide(true, path)
      place(tree, path.slice(0, -2), { first: true })
    } else read(path, spec[path])
  }
  const including = inclusive ?? (id === true && ![...tree.fields.values()].some((step) => typeof step === 'object' && 'slice' in step))
  if (including && id === undefined && !isTree(tree.fields.get('_id'))) tree.fields.set('_id', true)
  return (doc, filter) => project(doc, tree, including, filter, '')
}

function sliceOf (value: Value): [number, number] {
  const numbers = (Array.isArray(value) ? value : [value]).map(toNumber)
  if (numbers.some((n) => n === undefined) || numbers.length > 2) throw new CommandError(28724, 'First argument to $slice must be an array')
  if (numbers.length === 1) return numbers[0]! < 0 ? [numbers[0]!, Infinity] : [0, numbers[0]!]
  if (numbers[1]! <= 0) throw new CommandError(28729, `Third argument to $slice must be positive: ${numbers[1]}`)
  return [numbers[0]!, numbers[1]!]
}

function project (doc: Doc, tree: Tree, including: boolean, filter: Filter | undefined, path: string): Doc {
  const out: Doc = {}
  for (const name of namesOf(doc)) {
    const step = tree.fields.get(name)
    if (step === undefined) {
      if (!including) setField(out, name, doc[name])
      continue
    }
    const value = apply(doc[name], step, including, filter, path === '' ? name : `${path}.${name}`)
    if (value !== undefined) setField(out, name, value)
  }
  return out
}

function apply (value: Value, step: Step, including: boolean, filter: Filter | undefined, path: string): Value {
  if (step === true) return value
  if (step === false) return undefined
  if (isTree(step)) {
    if (Array.isArray(value)) return value.map((item) => apply(item, step, including, filter, path)).filter((item) => item !== undefined)
    if (isDocument(value)) return project(value, step, including, filter, path)
    return including ? undefined : value
  }
  if ('slice' in step) {
    if (!Array.isArray(value)) return value
    const [skip, count] = step.slice
    const from = skip < 0 ? Math.max(0, value.length + skip) : skip
    return value.slice(from, from + count)
  }
  if ('element' in step) {
    const found = Array.isArray(value) ? value.find((item) => step.element.test([item])) : undefined
    return found === undefined ? undefined : [found]
  }
  if (!Array.isArray(value)) return value
  const index = filter === undefined ? undefined : matchedElement(filter, path, value)
  if (index === undefined) throw new CommandError(51246, "Executor error during find command :: caused by :: positional operator '.$' couldn't find a matching element in the array")
  return [value[index]]
}
