import { encode, withId } from '../bson/encoding.ts'
import type { Stored } from '../bson/encoding.ts'
import { equal } from '../bson/keys.ts'
import { add, isDocument, showValue, toNumber, typeName } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, bad, notSupported } from '../errors.ts'
import { equalities } from '../query/filter.ts'
import type { Filter } from '../query/filter.ts'
import { changeAt, dollarField, parsePath, remove } from './paths.ts'
import type { Change } from './paths.ts'

export const maxDocument = 16 * 1024 * 1024

export interface Update {
  /** Changes a document; `doc` may be modified. */
  apply: (doc: Doc) => Stored
  /** The document that an upsert inserts. */
  insert: (filter: Filter) => Stored
}

/** Reads an update: a replacement or operators. */
export function parseUpdate (spec: Value, multi: boolean): Update {
  if (Array.isArray(spec)) throw notSupported('an update by a pipeline')
  if (!isDocument(spec)) throw failedToParse('Update argument must be either an object or an array')
  if (Object.keys(spec)[0]?.[0] === '$') return operatorUpdate(spec)
  if (multi) throw failedToParse('multi update is not supported for replacement-style update')
  return replacement(spec)
}

const failedToParse = (message: string): CommandError => new CommandError('FailedToParse', message)

function checked (stored: Stored): Stored {
  if (stored.bytes.length <= maxDocument) return stored
  throw new CommandError(17419, `Resulting document after update is larger than ${maxDocument}`)
}

function replacement (spec: Doc): Update {
  const operator = Object.keys(spec).find((name) => name[0] === '$')
  if (operator !== undefined) throw dollarField(operator, operator)
  const place = (id: Value): Stored => {
    if (Object.hasOwn(spec, '_id') && id !== undefined && !equal(id, spec._id)) {
      throw new CommandError('ImmutableField', "After applying the update, the (immutable) field '_id' was " +
        `found to have been altered to _id: ${showValue(spec._id)}`)
    }
    return checked(withId(spec, id))
  }
  return { apply: ({ _id }) => place(_id), insert: (filter) => place(idOf(filter)) }
}

/** The `_id` that an upsert by replacement takes from its filter. */
function idOf (filter: Filter): Value {
  const found = equalities(filter).filter(([path]) => isWithin(path, '_id'))
  if (found.some(([path]) => path !== '_id')) {
    throw new CommandError('NotExactValueField', "cannot infer query fields to set, '_id' is matched in part")
  }
  if (found.length > 1) throw matchedTwice('_id')
  return found[0]?.[1]
}

const matchedTwice = (path: string): CommandError =>
  new CommandError('NotSingleValueField', `cannot infer query fields to set, path '${path}' is matched twice`)

const isWithin = (path: string, parent: string): boolean => path === parent || path.startsWith(`${parent}.`)

/** The document that the equalities of a filter describe. */
function documentOf (filter: Filter): Doc {
  const doc: Doc = {}
  const seen: string[] = []
  for (const [path, value] of equalities(filter)) {
    if (seen.some((other) => isWithin(path, other) || isWithin(other, path))) throw matchedTwice(path)
    seen.push(path)
    changeAt(doc, path.split('.'), () => value, true)
  }
  return doc
}

/** Makes the change of the field at `path`. `id` is the `_id` of the document, for errors. */
type Operator = (path: string, argument: Value, id: () => Value) => Change

/** Operators of MongoDB that this database does not have. */
const unsupportedOperators = new Set([
  '$min', '$max', '$addToSet', '$pull', '$rename', '$mul', '$currentDate', '$pop', '$pullAll', '$bit'
])

/**
 * The update operators.
 * https://www.mongodb.com/docs/manual/reference/operator/update/
 */
const operators: Record<string, Operator> = {
  $set: (_, value) => () => value,
  $setOnInsert: (_, value) => () => value,
  $unset: () => (current) => current === undefined ? undefined : remove,
  $inc: increment,
  $push: (path, value, id) => (current) => [...arrayOf(current, path, id), ...itemsOf(value)]
}

function increment (path: string, value: Value, id: () => Value): Change {
  if (toNumber(value) === undefined) {
    throw new CommandError('TypeMismatch',
      `Cannot increment with non-numeric argument: {${path}: ${showValue(value)}}`)
  }
  return (current) => {
    if (current === undefined) return value
    if (toNumber(current) === undefined) {
      throw new CommandError('TypeMismatch', `Cannot apply $inc to a value of non-numeric type. {_id: ${
        showValue(id())}} has the field '${path.split('.').at(-1)}' of non-numeric type ${typeName(current)}`)
    }
    return add(current, value) ?? bad(`Failed to apply $inc operations to current value (${
      typeName(current)}) for document {_id: ${showValue(id())}}`)
  }
}

function arrayOf (current: Value, path: string, id: () => Value): Value[] {
  if (current === undefined) return []
  return Array.isArray(current)
    ? current
    : bad(`The field '${path}' must be an array but is of type ${typeName(current)} in document {_id: ${
      showValue(id())}}`)
}

/** What $push adds: the value itself, or each of `$each`. */
function itemsOf (value: Value): Value[] {
  if (!isDocument(value) || !Object.hasOwn(value, '$each')) return [value]
  const other = Object.keys(value).find((name) => name !== '$each')
  if (other !== undefined) throw notSupported(`${other} in $push`)
  return Array.isArray(value.$each)
    ? value.$each
    : bad(`The argument to $each in $push must be an array but it was of type: ${typeName(value.$each)}`)
}

interface Modification {
  operator: string
  path: string
  names: string[]
  change: Change
  /** Whether missing fields on the way are made. */
  creates: boolean
}

function parseOperators (spec: Doc, id: () => Value): Modification[] {
  return Object.entries(spec).flatMap(([operator, fields]) => {
    if (unsupportedOperators.has(operator)) throw notSupported(operator)
    const known = Object.hasOwn(operators, operator) ? operators[operator]! : undefined
    if (known === undefined) {
      throw failedToParse(`Unknown modifier: ${
        operator}. Expected a valid update modifier or pipeline-style update specified as an array`)
    }
    if (!isDocument(fields)) {
      throw failedToParse(`Modifiers operate on fields but we found type ${
        typeName(fields)} instead. For example: {$mod: {<field>: ...}} not {${operator}: ${
        showValue(fields)}}`)
    }
    const creates = operator !== '$unset'
    return Object.entries(fields).map(([path, argument]) => (
      { operator, path, names: parsePath(path), change: known(path, argument, id), creates }
    ))
  })
}

function refuseConflicts (modifications: Modification[]): void {
  for (const [i, { path }] of modifications.entries()) {
    for (const { path: other } of modifications.slice(0, i)) {
      if (!isWithin(path, other) && !isWithin(other, path)) continue
      const shorter = path.length < other.length ? path : other
      throw new CommandError('ConflictingUpdateOperators',
        `Updating the path '${path}' would create a conflict at '${shorter}'`)
    }
  }
}

function operatorUpdate (spec: Doc): Update {
  let id: Value
  const modifications = parseOperators(spec, () => id)
  refuseConflicts(modifications)
  // Fields are made in the order of their paths
  modifications.sort((a, b) => a.path < b.path ? -1 : 1)

  function change (doc: Doc, inserting: boolean): void {
    id = doc._id
    for (const { operator, names, change, creates } of modifications) {
      if (inserting || operator !== '$setOnInsert') changeAt(doc, names, change, creates)
    }
    if (id !== undefined && !equal(id, doc._id)) {
      throw new CommandError('ImmutableField',
        "Performing an update on the path '_id' would modify the immutable field '_id'")
    }
  }

  return {
    apply (doc) {
      change(doc, false)
      return checked({ bytes: encode(doc), doc })
    },
    insert (filter) {
      const doc = documentOf(filter)
      change(doc, true)
      return checked(withId(doc))
    }
  }
}
