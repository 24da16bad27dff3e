import { compare, equal } from '../bson/keys.ts'
import { add, isDocument, showValue, toNumber, typeName } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { isOperators, parseFilter } from '../query/filter.ts'
import { matches, matchesValue } from '../query/matching.ts'
import { remove } from './paths.ts'
import type { Change } from './paths.ts'

/**
 * Makes the change of one field, at `path`, of the operator's argument. `id` is the `_id` of the document,
 * for errors.
 */
type Operator = (path: string, argument: Value, id: () => Value) => Change

const bad = (message: string): never => { throw new CommandError('BadValue', message) }
const lastName = (path: string): string => path.split('.').at(-1)!

/** Operators of MongoDB that this database does not have. */
export const unsupportedOperators = new Set(['$rename', '$mul', '$currentDate', '$pop', '$pullAll', '$bit'])

/**
 * The update operators.
 * https://www.mongodb.com/docs/manual/reference/operator/update/
 */
export const operators: Record<string, Operator> = {
  $set: (_, value) => () => value,
  $setOnInsert: (_, value) => () => value,
  $unset: () => (current) => current === undefined ? undefined : remove,
  $min: (_, value) => (current) => current === undefined || compare(value, current) < 0 ? value : undefined,
  $max: (_, value) => (current) => current === undefined || compare(value, current) > 0 ? value : undefined,
  $inc: increment,
  $push: (path, value, id) => (current) => [...arrayOf(current, path, id), ...itemsOf('$push', value)],
  $addToSet: (path, value, id) => (current) => {
    const items = [...arrayOf(current, path, id)]
    for (const item of itemsOf('$addToSet', value)) {
      if (!items.some((other) => equal(other, item))) items.push(item)
    }
    return items
  },
  $pull: pull
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
        showValue(id())}} has the field '${lastName(path)}' of non-numeric type ${typeName(current)}`)
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

/** What $push and $addToSet add: the value itself, or each of `$each`. */
function itemsOf (operator: string, value: Value): Value[] {
  if (!isDocument(value) || !Object.hasOwn(value, '$each')) return [value]
  const other = Object.keys(value).find((name) => name !== '$each')
  if (other !== undefined) throw notSupported(`${other} in ${operator}`)
  return Array.isArray(value.$each)
    ? value.$each
    : bad(`The argument to $each in ${operator} must be an array but it was of type: ${
      typeName(value.$each)}`)
}

/** Removes the elements that equal a value, match a filter or meet a condition. */
function pull (_: string, value: Value): Change {
  const onFields = isDocument(value) && !isOperators(value) ? parseFilter(value) : undefined
  const onElement = parseFilter({ '': value })
  const isPulled = (item: Value): boolean => onFields === undefined
    ? matchesValue(onElement, item)
    : isDocument(item) && matches(onFields, item)
  return (current) => {
    if (current === undefined) return undefined
    return Array.isArray(current)
      ? current.filter((item) => !isPulled(item))
      : bad('Cannot apply $pull to a non-array value')
  }
}
