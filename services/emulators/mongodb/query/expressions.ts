import { equal } from '../bson/keys.ts'
import { field, isDocument, toNumber } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'

/** An expression on an element of an array, which is `$$this` in it. */
export interface Expression {
  /** Its value, undefined for a missing one. */
  of (element: Value): Value
  /** The value, if it is the same for every element. */
  constant?: Value
  /** Whether every string in its value is one of the element. */
  isStored?: boolean
  /** Strings of which every element has one for which the expression is true. */
  texts?: string[]
}

/**
 * Compiles a condition of `$filter`: fields of `$$this`, constants, `$eq`, `$in`, `$ifNull`, `$and`, `$or`.
 * Throws CommandNotSupported for other expressions.
 * https://www.mongodb.com/docs/manual/reference/operator/aggregation/
 */
export function compileExpression (spec: Value): Expression {
  if (typeof spec === 'string' && spec.startsWith('$')) return elementField(spec)
  if (Array.isArray(spec)) return list(spec.map(compileExpression))
  if (!isDocument(spec)) return constant(spec)
  const [[name, operand] = ['', undefined], ...others] = Object.entries(spec)
  if (others.length > 0 || !name.startsWith('$')) throw notSupported('an object as an expression')
  if (name === '$literal') return constant(operand)
  const operands = (Array.isArray(operand) ? operand : [operand]).map(compileExpression)
  switch (name) {
    case '$and': return and(operands)
    case '$or': return or(operands)
    case '$eq': return equality(pair(name, operands))
    case '$in': return membership(pair(name, operands))
    case '$ifNull': return ifNull(pair(name, operands))
    default: throw notSupported(`the expression ${name}`)
  }
}

function pair (name: string, operands: Expression[]): [Expression, Expression] {
  if (operands.length === 2) return operands as [Expression, Expression]
  const message = `Expression ${name} takes exactly 2 arguments. ${operands.length} were passed in.`
  throw new CommandError(16020, message)
}

const constant = (value: Value): Expression => ({ of: () => value, constant: value })

function elementField (path: string): Expression {
  const [variable, ...names] = path.split('.')
  if (variable !== '$$this') throw notSupported(`the expression ${path}`)
  return { of: (element) => fieldAt(element, names), isStored: true }
}

/** The value at a path; of an array, the array of the values that its documents have there. */
function fieldAt (value: Value, [name, ...rest]: string[]): Value {
  if (name === undefined) return value
  if (!Array.isArray(value)) return isDocument(value) ? fieldAt(field(value, name), rest) : undefined
  return value.map((item) => fieldAt(item, [name, ...rest])).filter((found) => found !== undefined)
}

function list (items: Expression[]): Expression {
  return {
    of: (element) => items.map((item) => item.of(element) ?? null),
    isStored: items.every((item) => item.isStored)
  }
}

/** Whether a value counts as true. */
export function isTrue (value: Value): boolean {
  return value !== undefined && value !== null && value !== false && toNumber(value) !== 0
}

function and (operands: Expression[]): Expression {
  return {
    of: (element) => operands.every((operand) => isTrue(operand.of(element))),
    texts: operands.flatMap(({ texts }) => texts ? [texts] : []).sort((a, b) => a.length - b.length)[0]
  }
}

function or (operands: Expression[]): Expression {
  const texts = operands.flatMap(({ texts }) => texts ?? [])
  return {
    of: (element) => operands.some((operand) => isTrue(operand.of(element))),
    ...(operands.every((operand) => operand.texts) && { texts: [...new Set(texts)] })
  }
}

function equality ([left, right]: [Expression, Expression]): Expression {
  return { of: (element) => equal(left.of(element), right.of(element)), ...textsOf(left, right) }
}

function membership ([item, array]: [Expression, Expression]): Expression {
  return {
    of (element) {
      const items = array.of(element)
      if (!Array.isArray(items)) throw new CommandError(40081, '$in requires an array as a second argument')
      const wanted = item.of(element)
      return items.some((each) => equal(wanted, each))
    },
    ...textsOf(item, array)
  }
}

/** A string that is equal to something stored in the element is in the element. */
function textsOf (a: Expression, b: Expression): { texts?: string[] } {
  const text = b.isStored ? a.constant : a.isStored ? b.constant : undefined
  return typeof text === 'string' && text !== '' ? { texts: [text] } : {}
}

function ifNull ([value, other]: [Expression, Expression]): Expression {
  return {
    of: (element) => value.of(element) ?? other.of(element),
    isStored: value.isStored === true && other.isStored === true
  }
}
