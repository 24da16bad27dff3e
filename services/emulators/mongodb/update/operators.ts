import { add, isDocument, showValue, toNumber, typeName } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { remove } from './paths.ts'
import type { Change } from './paths.ts'

/** Makes the change of the field at `path`. `id` is the `_id` of the document, for errors. */
type Operator = (path: string, argument: Value, id: () => Value) => Change

const bad = (message: string): never => { throw new CommandError('BadValue', message) }

/** Operators of MongoDB that this database does not have. */
export const unsupportedOperators = new Set([
  '$min', '$max', '$addToSet', '$pull', '$rename', '$mul', '$currentDate', '$pop', '$pullAll', '$bit'
])

/**
 * The update operators.
 * https://www.mongodb.com/docs/manual/reference/operator/update/
 */
export const operators: Record<string, Operator> = {
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
