import { field, isDocument, showValue } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'

/** The result of a change that removes its field. */
export const remove = Symbol('remove')

/** The new value of a field, from its current one (undefined if missing); undefined leaves it as it is. */
export type Change = (current: Value) => Value | typeof remove

/** The names of a path to be changed. Throws CommandNotSupported for positional operators. */
export function parsePath (path: string): string[] {
  const names = path.split('.')
  for (const name of names) {
    if (path === '') throw new CommandError('EmptyFieldName', 'An empty update path is not valid.')
    if (name === '') {
      throw new CommandError('EmptyFieldName',
        `The update path '${path}' contains an empty field name, which is not allowed.`)
    }
    if (name === '$' || name.startsWith('$[')) throw notSupported('a positional operator')
    if (name[0] === '$') throw dollarField(name, path)
  }
  return names
}

export function dollarField (name: string, path: string): CommandError {
  return new CommandError('DollarPrefixedFieldName',
    `The dollar ($) prefixed field '${name}' in '${path}' is not allowed in the context of an update's ` +
    'replacement document. Consider using an aggregation pipeline with $replaceWith.')
}

/** Changes the field at a path. `creates` says whether missing fields on the way are made. */
export function changeAt (doc: Doc, names: string[], change: Change, creates: boolean, depth = 0): void {
  const name = names[depth]!
  const current = field(doc, name)
  const next = depth === names.length - 1
    ? change(current)
    : changeWithin(current, names, change, creates, depth)
  if (next === remove) delete doc[name]
  else if (next !== undefined) doc[name] = next as Value
}

function changeWithin (
  current: Value, names: string[], change: Change, creates: boolean, depth: number
): Value {
  if (isDocument(current)) {
    changeAt(current, names, change, creates, depth + 1)
    return current
  }
  if (!creates) return undefined
  if (current !== undefined) {
    throw new CommandError('PathNotViable',
      `Cannot create field '${names[depth + 1]}' in element {${names[depth]}: ${showValue(current)}}`)
  }
  const made: Doc = {}
  changeAt(made, names, change, creates, depth + 1)
  return Object.keys(made).length === 0 ? undefined : made
}
