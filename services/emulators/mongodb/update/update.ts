import { Int32, Long, ObjectId, Timestamp } from 'bson'
import type { Doc, Value } from '../bson/bson.ts'
import { encode, encodeField, isDocument, patch, removeField, setField, toNumber, withId } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'
import type { Filter, Leaf } from '../query/filter.ts'
import { equal, equalities, matches, matchesValue, parseFilter, typeName } from '../query/filter.ts'
import { compare, digits, keyParts, sortKey } from '../bson/keys.ts'
import { arithmetic } from '../bson/arithmetic.ts'
import { showValue } from '../storage/storage.ts'

export const maxDocument = 16 * 1024 * 1024

/** A change to a document: its new bytes and value, and the top-level fields that may differ, null for any. */
export interface Changed {
  bytes: Uint8Array
  doc: Doc
  touched: Set<string> | null
}

export interface Update {
  isReplacement: boolean
  /** Changes a document in place of its own decoding; `doc` may be modified. */
  apply: (bytes: Uint8Array, doc: Doc, filter: Filter) => Changed
  /** The document that an upsert inserts. */
  insert: (filter: Filter) => { bytes: Uint8Array, doc: Doc }
}

const parseError = (message: string): never => { throw new CommandError('FailedToParse', message) }

/**
 * Reads an update: a replacement (with its encoding in `raw`) or operators.
 * https://www.mongodb.com/docs/manual/reference/operator/update/
 */
export function parseUpdate (spec: Value, raw: Uint8Array | undefined, arrayFilters: Value[] | undefined, multi: boolean): Update {
  if (Array.isArray(spec)) {
    throw new CommandError('CommandNotSupported', 'an update by a pipeline is not supported by this database')
  }
  if (!isDocument(spec)) return parseError('Update argument must be either an object or an array')
  const first = Object.keys(spec)[0]
  if (first?.[0] === '$') return operatorUpdate(spec, arrayFilters ?? [])
  if (multi) parseError('multi update is not supported for replacement-style update')
  if (arrayFilters !== undefined) parseError('arrayFilters may not be specified for replacement-style updates')
  return replacement(spec, raw ?? encode(spec))
}

function checkSize (bytes: Uint8Array): void {
  if (bytes.length > maxDocument) throw new CommandError(17419, `Resulting document after update is larger than ${maxDocument}`)
}

const altered = (id: Value): CommandError => new CommandError('ImmutableField', `After applying the update, the (immutable) field '_id' was found to have been altered to _id: ${showValue(id)}`)

function checkId (before: Value, doc: Doc): void {
  if (Object.hasOwn(doc, '_id') && !equal(before, doc._id)) throw altered(doc._id)
}

function refuseDollar (name: string, path: string): never {
  throw new CommandError('DollarPrefixedFieldName', `The dollar ($) prefixed field '${name}' in '${path}' is not allowed in the context of an update's replacement document. Consider using an aggregation pipeline with $replaceWith.`)
}

/** The `_id` that an upsert by replacement takes from its filter. */
function idOf (filter: Filter): Value {
  const found = equalities(filter).filter(([path]) => path === '_id' || path.startsWith('_id.'))
  if (found.some(([path]) => path !== '_id')) throw new CommandError('NotExactValueField', "cannot infer query fields to set, path '_id' is only matched in part")
  if (found.length > 1) throw new CommandError('NotSingleValueField', "cannot infer query fields to set, path '_id' is matched twice")
  return found[0]?.[1]
}

function replacement (spec: Doc, raw: Uint8Array): Update {
  for (const name of Object.keys(spec)) if (name[0] === '$' && !['$ref', '$id', '$db'].includes(name)) refuseDollar(name, name)
  const place = (id: Value): { bytes: Uint8Array, doc: Doc } => {
    if (Object.hasOwn(spec, '_id')) return withId(raw, spec)
    const field = encodeField('_id', id)
    const bytes = Buffer.allocUnsafe(raw.length + field.length)
    bytes.writeInt32LE(bytes.length, 0)
    bytes.set(field, 4)
    bytes.set(raw.subarray(4), 4 + field.length)
    return { bytes, doc: { _id: id, ...spec } }
  }
  return {
    isReplacement: true,
    apply (_, doc) {
      checkId(doc._id, spec)
      const placed = place(doc._id)
      checkSize(placed.bytes)
      return { ...placed, touched: null }
    },
    insert (filter) {
      const id = idOf(filter)
      if (id !== undefined) checkId(id, spec)
      const placed = place(id ?? new ObjectId())
      checkSize(placed.bytes)
      return placed
    }
  }
}

/** The document that a filter's equalities describe. */
function fromFilter (filter: Filter): Doc {
  const doc: Doc = {}
  const seen: string[] = []
  for (const [path, value] of equalities(filter)) {
    if (seen.some((other) => other === path || other.startsWith(`${path}.`) || path.startsWith(`${other}.`))) {
      throw new CommandError('NotSingleValueField', `cannot infer query fields to set, path '${path}' is matched twice`)
    }
    seen.push(path)
    setAt(doc, path.split('.'), 0, () => value, true)
  }
  return doc
}

const remove = Symbol('remove')

/** Gives a field its new value: undefined leaves it, `remove` takes it away. */
type Change = (current: Value, container: Value) => Value

interface Modification {
  operator: string
  path: string
  names: string[]
  change: Change
  /** Whether missing fields on the way are made. */
  creates: boolean
}

function setAt (container: Value, names: string[], depth: number, change: Change, creates: boolean): void {
  const name = names[depth]!
  const last = depth === names.length - 1
  if (Array.isArray(container)) {
    if (!digits.test(name)) {
      if (!creates) return
      throw new CommandError('PathNotViable', `Cannot create field '${name}' in element {${names[depth - 1]}: ${showValue(container)}}`)
    }
    const index = Number(name)
    if (index >= container.length) {
      if (!creates) return
      if (index > container.length + 1500000) throw new CommandError('BadValue', 'Cannot backfill array to index greater than 1500000')
    }
    const next = last ? change(container[index], container) : child(container[index], names, depth, change, creates)
    if (next === undefined) return
    while (container.length < index) container.push(null)
    container[index] = next === remove ? null : next
    return
  }
  const current = Object.hasOwn(container, name) ? container[name] : undefined
  const next = last ? change(current, container) : child(current, names, depth, change, creates)
  if (next === remove) removeField(container, name)
  else if (next !== undefined) setField(container, name, next)
}

function child (current: Value, names: string[], depth: number, change: Change, creates: boolean): Value {
  if (isDocument(current) || Array.isArray(current)) {
    setAt(current, names, depth + 1, change, creates)
    return current
  }
  if (!creates) return undefined
  if (current !== undefined) throw new CommandError('PathNotViable', `Cannot create field '${names[depth + 1]}' in element {${names[depth]}: ${showValue(current)}}`)
  const made: Doc = {}
  setAt(made, names, depth + 1, change, creates)
  return Object.keys(made).length === 0 ? undefined : made
}

const operators: Record<string, (path: string, value: Value, doc: () => Doc) => Change> = {
  $set: (_, value) => () => value,
  $setOnInsert: (_, value) => () => value,
  $unset: () => (current) => current === undefined ? undefined : remove,
  $inc: (path, value, doc) => {
    if (toNumber(value) === undefined) throw new CommandError('TypeMismatch', `Cannot increment with non-numeric argument: {${path}: ${showValue(value)}}`)
    return reckon('$inc', '+', path, value, doc)
  },
  $mul: (path, value, doc) => {
    if (toNumber(value) === undefined) throw new CommandError('TypeMismatch', `Cannot multiply with non-numeric argument: {${path}: ${showValue(value)}}`)
    return reckon('$mul', '*', path, value, doc)
  },
  $min: (_, value) => (current) => current === undefined || compare(value, current) < 0 ? value : undefined,
  $max: (_, value) => (current) => current === undefined || compare(value, current) > 0 ? value : undefined,
  $currentDate: (_, value) => {
    const type = value === true || value === false ? 'date' : isDocument(value) ? value.$type : undefined
    if (type !== 'date' && type !== 'timestamp') {
      if (isDocument(value)) throw new CommandError('BadValue', "The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {field : {$type: 'date'}}}")
      throw new CommandError('BadValue', `${typeName(value)} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression ({$type: 'timestamp/date'}).`)
    }
    return () => type === 'date' ? new Date() : new Timestamp({ t: Math.floor(Date.now() / 1000), i: 1 })
  },
  $push: push,
  $addToSet: (path, value) => {
    const items = isDocument(value) && Object.keys(value)[0] === '$each' ? value.$each : [value]
    if (!Array.isArray(items)) throw new CommandError('TypeMismatch', `The argument to $each in $addToSet must be an array but it was of type ${typeName(items)}`)
    return (current) => {
      if (current !== undefined && !Array.isArray(current)) throw new CommandError('BadValue', `Cannot apply $addToSet to non-array field. Field named '${path.split('.').at(-1)}' has non-array type ${typeName(current)}`)
      const out: Value[] = current === undefined ? [] : current.slice()
      for (const item of items) if (!out.some((other) => equal(other, item))) out.push(item)
      return out
    }
  },
  $pop: (path, value) => {
    const end = toNumber(value)
    if (end === undefined) parseError(`Expected a number in: ${path}: ${showValue(value)}`)
    if (end !== 1 && end !== -1) parseError(`$pop expects 1 or -1, found: ${showValue(value)}`)
    return (current) => {
      if (current === undefined) return undefined
      if (!Array.isArray(current)) throw new CommandError('TypeMismatch', `Path '${path}' contains an element of non-array type '${typeName(current)}'`)
      return end === 1 ? current.slice(0, -1) : current.slice(1)
    }
  },
  $pull: (_, value) => {
    const isCondition = isDocument(value) && Object.keys(value).some((name) => name[0] === '$')
    let test: (item: Value) => boolean
    if (isCondition) {
      const filter = (parseFilter({ x: { $elemMatch: value } }) as Leaf).inner!
      test = (item) => matchesValue(filter, item)
    } else if (value?._bsontype === 'BSONRegExp') {
      const filter = parseFilter({ x: value }) as Leaf
      test = (item) => filter.test(item)
    } else if (isDocument(value)) {
      const filter = parseFilter(value)
      test = (item) => isDocument(item) && matches(filter, item)
    } else test = (item) => equal(item, value)
    return (current) => {
      if (current === undefined) return undefined
      if (!Array.isArray(current)) throw new CommandError('BadValue', 'Cannot apply $pull to a non-array value')
      return current.filter((item) => !test(item))
    }
  },
  $pullAll: (_, value) => {
    if (!Array.isArray(value)) throw new CommandError('BadValue', `$pullAll requires an array argument but was given a ${typeName(value)}`)
    return (current) => {
      if (current === undefined) return undefined
      if (!Array.isArray(current)) throw new CommandError('BadValue', 'Cannot apply $pull to a non-array value')
      return current.filter((item) => !value.some((other) => equal(item, other)))
    }
  },
  $bit: (path, value, doc) => {
    if (!isDocument(value)) throw new CommandError('BadValue', `The $bit modifier is not compatible with a ${typeName(value)}. You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}`)
    const names = Object.keys(value)
    if (names.length === 0) throw new CommandError('BadValue', 'You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}')
    for (const name of names) {
      if (!['and', 'or', 'xor'].includes(name)) throw new CommandError('BadValue', `The $bit modifier only supports 'and', 'or', and 'xor', not '${name}' which is an unknown operator: {${name}: ${showValue(value[name])}}`)
      if (!['Int32', 'Long'].includes(value[name]?._bsontype)) throw new CommandError('BadValue', `The $bit modifier field must be an Integer(32/64 bit); a '${typeName(value[name])}' is not supported here: {${name}: ${showValue(value[name])}}`)
    }
    return (current) => {
      let number = current ?? new Int32(0)
      if (number._bsontype !== 'Int32' && number._bsontype !== 'Long') {
        throw new CommandError('BadValue', `Cannot apply $bit to a value of non-integral type._id: ${showValue(doc()._id)} has the field ${path.split('.').at(-1)} of non-integer type ${typeName(current)}`)
      }
      for (const name of names) {
        const operand = value[name]
        const wide = number._bsontype === 'Long' || operand._bsontype === 'Long'
        const a = BigInt(number.toString())
        const b = BigInt(operand.toString())
        const result = name === 'and' ? a & b : name === 'or' ? a | b : a ^ b
        number = wide ? Long.fromBigInt(BigInt.asIntN(64, result)) : new Int32(Number(BigInt.asIntN(32, result)))
      }
      return number
    }
  }
}

function reckon (operator: string, op: '+' | '*', path: string, value: Value, doc: () => Doc): Change {
  return (current) => {
    if (current === undefined) return op === '+' ? value : arithmetic('*', value, new Int32(0))
    if (toNumber(current) === undefined) {
      throw new CommandError('TypeMismatch', `Cannot apply ${operator} to a value of non-numeric type. {_id: ${showValue(doc()._id)}} has the field '${path.split('.').at(-1)}' of non-numeric type ${typeName(current)}`)
    }
    const result = arithmetic(op, current, value)
    if (result === undefined) throw new CommandError('BadValue', `Failed to apply ${operator} operations to current value (${typeName(current)}) for document {_id: ${showValue(doc()._id)}}`)
    return result
  }
}

function push (path: string, value: Value, doc: () => Doc): Change {
  let items: Value[] = [value]
  let position: number | undefined
  let slice: number | undefined
  let order: ((a: Value, b: Value) => number) | undefined
  if (isDocument(value) && Object.hasOwn(value, '$each')) {
    for (const name of Object.keys(value)) {
      if (!['$each', '$position', '$slice', '$sort'].includes(name)) throw new CommandError('BadValue', `Unrecognized clause in $push: ${name}`)
    }
    if (!Array.isArray(value.$each)) throw new CommandError('BadValue', `The argument to $each in $push must be an array but it was of type: ${typeName(value.$each)}`)
    items = value.$each
    const whole = (name: string): number | undefined => {
      if (value[name] === undefined) return undefined
      const number = toNumber(value[name])
      if (number === undefined || !Number.isInteger(number)) throw new CommandError('BadValue', `The value for ${name} must be an integer value but was given type: ${typeName(value[name])}`)
      return number
    }
    position = whole('$position')
    slice = whole('$slice')
    if (value.$sort !== undefined) order = elementOrder(value.$sort)
  }
  return (current) => {
    if (current !== undefined && !Array.isArray(current)) {
      throw new CommandError('BadValue', `The field '${path}' must be an array but is of type ${typeName(current)} in document {_id: ${showValue(doc()._id)}}`)
    }
    let out: Value[] = current === undefined ? [] : current.slice()
    out.splice(position === undefined ? out.length : position < 0 ? Math.max(0, out.length + position) : position, 0, ...items)
    if (order !== undefined) out.sort(order)
    if (slice !== undefined) out = slice === 0 ? [] : slice > 0 ? out.slice(0, slice) : out.slice(slice)
    return out
  }
}

function elementOrder (spec: Value): (a: Value, b: Value) => number {
  const direction = toNumber(spec)
  if (direction === 1 || direction === -1) return (a, b) => compare(a, b) * direction
  if (!isDocument(spec) || Object.keys(spec).length === 0) throw new CommandError('BadValue', 'The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields')
  const parts = keyParts(spec)
  return (a, b) => Buffer.compare(sortKey(isDocument(a) ? a : {}, parts), sortKey(isDocument(b) ? b : {}, parts))
}

function checkPath (path: string): string[] {
  if (path === '') throw new CommandError('EmptyFieldName', 'An empty update path is not valid.')
  const names = path.split('.')
  for (const [i, name] of names.entries()) {
    if (name === '') throw new CommandError('EmptyFieldName', `The update path '${path}' contains an empty field name, which is not allowed.`)
    if (name[0] !== '$' || name === '$' || name.startsWith('$[') || (i > 0 && ['$ref', '$id', '$db'].includes(name))) continue
    refuseDollar(name, path)
  }
  if (names[0] === '$' || names[0]!.startsWith('$[')) throw new CommandError('BadValue', `Cannot have positional (i.e. '$') element in the first position in path '${path}'`)
  return names
}

function byPath (a: Modification, b: Modification): number {
  for (let i = 0; i < a.names.length && i < b.names.length; i++) {
    const [x, y] = [a.names[i]!, b.names[i]!]
    if (x === y) continue
    if (digits.test(x) && digits.test(y)) return Number(x) - Number(y)
    return x < y ? -1 : 1
  }
  return a.names.length - b.names.length
}

function operatorUpdate (spec: Doc, arrayFilters: Value[]): Update {
  let current: Doc = {}
  const self = (): Doc => current
  const modifications: Modification[] = []
  for (const operator of Object.keys(spec)) {
    const fields = spec[operator]
    if (!Object.hasOwn(operators, operator) && operator !== '$rename') parseError(`Unknown modifier: ${operator}. Expected a valid update modifier or pipeline-style update specified as an array`)
    if (!isDocument(fields)) parseError(`Modifiers operate on fields but we found type ${typeName(fields)} instead. For example: {$mod: {<field>: ...}} not {${operator}: ${showValue(fields)}}`)
    for (const path of Object.keys(fields)) {
      const names = checkPath(path)
      if (operator === '$rename') modifications.push(...renaming(path, names, fields[path], self))
      else modifications.push({ operator, path, names, change: operators[operator]!(path, fields[path], self), creates: !['$unset', '$pull', '$pullAll', '$pop'].includes(operator) })
    }
  }
  refuseConflicts(modifications)
  const filters = parseArrayFilters(arrayFilters)
  const used = new Set(modifications.flatMap(({ names }) => names.filter((name) => name.startsWith('$[') && name !== '$[]').map((name) => name.slice(2, -1))))
  for (const id of used) {
    const { path } = modifications.find(({ names }) => names.includes(`$[${id}]`))!
    if (!filters.has(id)) throw new CommandError('BadValue', `No array filter found for identifier '${id}' in path '${path}'`)
  }
  for (const id of filters.keys()) if (!used.has(id)) parseError(`The array filter for identifier '${id}' was not used in the update ${showValue(spec)}`)
  modifications.sort(byPath)
  const touched = new Set(modifications.map(({ names }) => names[0]!))

  function run (doc: Doc, filter: Filter, inserting: boolean): void {
    current = doc
    for (const { operator, path, names, change, creates } of modifications) {
      if (operator === '$setOnInsert' && !inserting) continue
      const plain = !names.some((name) => name[0] === '$')
      for (const target of plain ? [names] : positions(doc, doc, names, 0, filter, filters, path)) setAt(doc, target, 0, change, creates)
    }
  }

  return {
    isReplacement: false,
    apply (bytes, doc, filter) {
      const id = doc._id
      run(doc, filter, false)
      if (touched.has('_id') && !(Object.hasOwn(doc, '_id') && equal(id, doc._id))) {
        throw new CommandError('ImmutableField', "Performing an update on the path '_id' would modify the immutable field '_id'")
      }
      const changed = patch(bytes, doc, touched)
      checkSize(changed)
      return { bytes: changed, doc, touched }
    },
    insert (filter) {
      const doc = fromFilter(filter)
      const id = doc._id
      run(doc, filter, true)
      if (id !== undefined && !equal(id, doc._id)) throw new CommandError('ImmutableField', "Performing an update on the path '_id' would modify the immutable field '_id'")
      const placed = withId(encode(doc), doc)
      checkSize(placed.bytes)
      return placed
    }
  }
}

function renaming (from: string, fromNames: string[], to: Value, doc: () => Doc): Modification[] {
  if (typeof to !== 'string') throw new CommandError('BadValue', `The 'to' field for $rename must be a string: ${from}: ${showValue(to)}`)
  if (from === to) throw new CommandError('BadValue', `The source and target field for $rename must differ: ${from}: "${to}"`)
  const toNames = checkPath(to)
  for (const [path, names] of [[from, fromNames], [to, toNames]] as const) {
    if (names.some((name) => name.startsWith('$'))) throw new CommandError('BadValue', `The source and target field for $rename may not be dynamic: ${path}`)
  }
  const source = (): Value => {
    let value: Value = doc()
    for (const name of fromNames) {
      if (Array.isArray(value)) throw new CommandError('BadValue', `The source field cannot be an array element, '${from}' in doc with _id: ${showValue(doc()._id)} has an array field called '${fromNames[0]}'`)
      value = isDocument(value) && Object.hasOwn(value, name) ? value[name] : undefined
    }
    return value
  }
  // both halves are done by the target's, since either may be the first in the order of paths
  return [
    {
      operator: '$rename',
      path: to,
      names: toNames,
      creates: true,
      change: () => {
        const value = source()
        if (value !== undefined) setAt(doc(), fromNames, 0, () => remove, false)
        return value
      }
    },
    { operator: '$rename', path: from, names: fromNames, creates: false, change: () => undefined }
  ]
}

function refuseConflicts (modifications: Modification[]): void {
  const paths = new Set<string>()
  for (const { path, names } of modifications) {
    if (paths.has(path)) throw new CommandError('ConflictingUpdateOperators', `Updating the path '${path}' would create a conflict at '${path}'`)
    for (let i = 1; i < names.length; i++) {
      const parent = names.slice(0, i).join('.')
      if (paths.has(parent)) throw new CommandError('ConflictingUpdateOperators', `Updating the path '${path}' would create a conflict at '${parent}'`)
    }
    for (const other of paths) {
      if (other.startsWith(`${path}.`)) throw new CommandError('ConflictingUpdateOperators', `Updating the path '${path}' would create a conflict at '${path}'`)
    }
    paths.add(path)
  }
}

function parseArrayFilters (arrayFilters: Value[]): Map<string, Filter> {
  const filters = new Map<string, Filter>()
  for (const spec of arrayFilters) {
    if (!isDocument(spec) || Object.keys(spec).length === 0) parseError('Cannot use an expression without a top-level field name in arrayFilters')
    const ids = new Set<string>()
    const collect = (condition: Doc): void => {
      for (const name of Object.keys(condition)) {
        if (name[0] === '$') for (const branch of condition[name]) collect(branch)
        else ids.add(name.split('.')[0]!)
      }
    }
    collect(spec)
    if (ids.size !== 1) parseError(`Error parsing array filter :: caused by :: Expected a single top-level field name, found '${[...ids].join("' and '")}'`)
    const [id] = ids as unknown as [string]
    if (!/^[a-z][a-zA-Z0-9]*$/.test(id)) throw new CommandError('BadValue', `Error parsing array filter :: caused by :: The top-level field name must be an alphanumeric string beginning with a lowercase letter, found '${id}'`)
    if (filters.has(id)) parseError(`Found multiple array filters with the same top-level field name ${id}`)
    filters.set(id, parseFilter(spec))
  }
  return filters
}

/** The paths without positional parts that a path with them stands for in a document. */
function positions (doc: Doc, value: Value, names: string[], depth: number, filter: Filter, filters: Map<string, Filter>, path: string): string[][] {
  const at = names.findIndex((name, i) => i >= depth && name[0] === '$')
  if (at < 0) return [names]
  for (const name of names.slice(depth, at)) value = value?.[name]
  const name = names[at]!
  if (!Array.isArray(value)) {
    if (value === undefined && name !== '$') throw new CommandError('BadValue', `The path '${names.slice(0, at).join('.')}' must exist in the document in order to apply array updates.`)
    if (name !== '$') throw new CommandError('BadValue', `Cannot apply array updates to non-array element ${names[at - 1]}: ${showValue(value)}`)
  }
  let chosen: number[]
  if (name === '$') {
    const found = Array.isArray(value) ? matchedElement(filter, names.slice(0, at).join('.'), value) : undefined
    if (found === undefined) throw new CommandError('BadValue', 'The positional operator did not find the match needed from the query.')
    chosen = [found]
  } else if (name === '$[]') chosen = value.map((_: Value, i: number) => i)
  else {
    const id = name.slice(2, -1)
    chosen = value.map((_: Value, i: number) => i).filter((i: number) => matches(filters.get(id)!, { [id]: value[i] }))
  }
  return chosen.flatMap((i) => positions(doc, value[i], [...names.slice(0, at), String(i), ...names.slice(at + 1)], at + 1, filter, filters, path))
}

/** The first element of an array that met the filter, for the positional `$`. */
export function matchedElement (filter: Filter, path: string, array: Value[]): number | undefined {
  if (filter.kind === 'and' || filter.kind === 'or') {
    for (const part of filter.parts) {
      const found = matchedElement(part, path, array)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (filter.kind !== 'leaf') return undefined
  let test: (item: Value) => boolean
  if (filter.path === path) test = filter.op === 'elemMatch' ? (item) => filter.test([item]) : filter.test
  else if (filter.path.startsWith(`${path}.`)) {
    const below = { ...filter, names: filter.path.slice(path.length + 1).split('.') }
    test = (item) => isDocument(item) && matches(below, item)
  } else return undefined
  const index = array.findIndex(test)
  return index < 0 ? undefined : index
}
