import { BSONRegExp } from 'bson'
import { field, isDocument } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { bad, notSupported } from '../errors.ts'
import { anyOf, compares, equals, existsTest, matchesRegex, regexOf } from './conditions.ts'
import type { Condition } from './conditions.ts'

/** A condition on the values at a path: true if any value there passes `test`. */
interface Leaf extends Condition {
  kind: 'leaf'
  path: string
  names: string[]
}

export type Filter =
  | { kind: 'and' | 'or' | 'nor', parts: Filter[] }
  | { kind: 'not', part: Filter }
  | Leaf

/** Operators of MongoDB that this database does not have. */
const unsupportedOperators = new Set([
  '$type', '$size', '$all', '$comment', '$expr', '$where', '$text', '$jsonSchema', '$mod', '$bitsAllSet',
  '$bitsAllClear', '$bitsAnySet', '$bitsAnyClear', '$near', '$nearSphere', '$geoWithin', '$geoIntersects'
])

/**
 * Reads a query filter. Throws BadValue or FailedToParse with the server's words, CommandNotSupported for
 * operators that only the server has.
 * https://www.mongodb.com/docs/manual/reference/operator/query/
 */
export function parseFilter (query: Doc): Filter {
  const parts: Filter[] = []
  for (const name of Object.keys(query)) {
    const value = query[name]
    if (name[0] !== '$') parts.push(...parseField(name, value))
    else if (name === '$and' || name === '$or' || name === '$nor') parts.push(...parseLogic(name, value))
    else if (unsupportedOperators.has(name)) throw notSupported(name)
    else {
      bad(`unknown top level operator: ${name}. If you have a field name that starts with a '$' symbol, ` +
        'consider using $getField or $setField.')
    }
  }
  return allOf(parts)
}

/** The filter that holds where all of several do. */
export function allOf (filters: Filter[]): Filter {
  const parts = filters.flatMap((part) => part.kind === 'and' ? part.parts : [part])
  return parts.length === 1 ? parts[0]! : { kind: 'and', parts }
}

function parseLogic (name: '$and' | '$or' | '$nor', value: Value): Filter[] {
  if (!Array.isArray(value)) return bad(`${name} must be an array`)
  if (value.length === 0) bad('$and/$or/$nor must be a nonempty array')
  const parts = value.map((branch) => (
    isDocument(branch) ? parseFilter(branch) : bad('$or/$and/$nor entries need to be full objects')
  ))
  return name === '$and' ? parts : [{ kind: name === '$or' ? 'or' : 'nor', parts }]
}

function isOperators (value: Value): value is Doc {
  return isDocument(value) && Object.keys(value)[0]?.[0] === '$'
}

function parseField (path: string, value: Value): Filter[] {
  if (isOperators(value)) return Object.keys(value).flatMap((name) => parseOperator(path, name, value))
  return [leaf(path, value instanceof BSONRegExp ? matchesRegex(value) : equals(value))]
}

function leaf (path: string, condition: Condition): Leaf {
  return { kind: 'leaf', path, names: path.split('.'), ...condition }
}

const not = (part: Filter): Filter => ({ kind: 'not', part })

function parseOperator (path: string, name: string, operators: Doc): Filter[] {
  const value = operators[name]
  switch (name) {
    case '$eq': return [leaf(path, equals(value))]
    case '$ne': return [not(leaf(path, equals(value)))]
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte': return [leaf(path, compares(name, value))]
    case '$in': return [leaf(path, anyOf(name, value))]
    case '$nin': return [not(leaf(path, anyOf(name, value)))]
    case '$not': return [not(parseNot(path, value))]
    case '$exists': return [existsTest(value) ? leaf(path, present) : not(leaf(path, present))]
    case '$regex': return [leaf(path, matchesRegex(regexOf(value, operators.$options)))]
    case '$options': return Object.hasOwn(operators, '$regex') ? [] : bad('$options needs a $regex')
    case '$elemMatch': return [elemMatch(path, value)]
    default:
      if (unsupportedOperators.has(name)) throw notSupported(name)
      return bad(`unknown operator: ${name}`)
  }
}

const present: Condition = { test: (value) => value !== undefined, elements: true }

function parseNot (path: string, value: Value): Filter {
  if (value instanceof BSONRegExp) return leaf(path, matchesRegex(value))
  if (!isDocument(value)) return bad('$not needs a regex or a document')
  if (Object.keys(value).length === 0) bad('$not cannot be empty')
  if (!isOperators(value)) bad(`unknown operator: ${Object.keys(value)[0]}`)
  return { kind: 'and', parts: parseField(path, value) }
}

function elemMatch (path: string, value: Value): Leaf {
  if (!isDocument(value)) return bad('$elemMatch needs an Object')
  const onValue = isOperators(value) && !['$and', '$or', '$nor'].includes(Object.keys(value)[0]!)
  const inner = onValue ? allOf(parseField('', value)) : parseFilter(value)
  const test = onValue
    ? (item: Value) => matchesValue(inner, item)
    : (item: Value) => (isDocument(item) || Array.isArray(item)) && matches(inner, item as Doc)
  return leaf(path, { test: (array) => Array.isArray(array) && array.some(test), elements: false })
}

/** The fields of a document that a filter depends on. */
export function fieldNames (filter: Filter): Set<string> {
  switch (filter.kind) {
    case 'leaf': return new Set([filter.names[0]!])
    case 'not': return fieldNames(filter.part)
    default: return new Set(filter.parts.flatMap((part) => [...fieldNames(part)]))
  }
}

/** Whether a filter has no condition. */
export const matchesAll = (filter: Filter): boolean => filter.kind === 'and' && filter.parts.length === 0

/** The conditions that all must hold. */
export function conjuncts (filter: Filter): Filter[] {
  return filter.kind === 'and' ? filter.parts.flatMap(conjuncts) : [filter]
}

/** The equalities that an upsert copies into a new document: path and value of each. */
export function equalities (filter: Filter): Array<[path: string, value: Value]> {
  switch (filter.kind) {
    case 'and': return filter.parts.flatMap(equalities)
    case 'leaf': return filter.equals === undefined ? [] : [[filter.path, filter.equals]]
    default: return []
  }
}

/** Whether a document matches a filter. */
export function matches (filter: Filter, doc: Doc): boolean {
  return holds(filter, (leaf) => testPath(leaf, doc, 0))
}

/** Whether a value that is no field of a document meets conditions parsed with an empty path. */
function matchesValue (filter: Filter, value: Value): boolean {
  return holds(filter, (leaf) => leaf.test(value))
}

function holds (filter: Filter, test: (leaf: Leaf) => boolean): boolean {
  switch (filter.kind) {
    case 'leaf': return test(filter)
    case 'and': return filter.parts.every((part) => holds(part, test))
    case 'or': return filter.parts.some((part) => holds(part, test))
    case 'nor': return !filter.parts.some((part) => holds(part, test))
    case 'not': return !holds(filter.part, test)
  }
}

/** Follows the path of a condition; missing fields are tested as undefined. */
function testPath (leaf: Leaf, doc: Doc, depth: number): boolean {
  const value = field(doc, leaf.names[depth]!)
  if (depth === leaf.names.length - 1) {
    return leaf.test(value) || (leaf.elements && Array.isArray(value) && value.some(leaf.test))
  }
  if (Array.isArray(value)) return value.some((item) => isDocument(item) && testPath(leaf, item, depth + 1))
  return isDocument(value) ? testPath(leaf, value, depth + 1) : leaf.test(undefined)
}
