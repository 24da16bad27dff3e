import { Context } from 'mingo'
import { OpType, evalExpr } from 'mingo/core'
import * as accumulators from 'mingo/operators/accumulator'
import * as expressions from 'mingo/operators/expression'
import * as projections from 'mingo/operators/projection'
import * as queries from 'mingo/operators/query'
import * as windows from 'mingo/operators/window'
import type { Options } from 'mingo/types'
import type { Doc, Value } from './bson.ts'
import { field, fieldsOf, isDocument } from './bson.ts'
import { CommandError } from './errors.ts'
import { typeName } from './filter.ts'
import { compare } from './keys.ts'

const pair = (name: string, test: (a: Value, b: Value) => Value) => (doc: Value, args: Value, options: Options): Value => {
  if (!Array.isArray(args) || args.length !== 2) throw new CommandError(16020, `Expression ${name} takes exactly 2 arguments. ${Array.isArray(args) ? args.length : 1} were passed in.`)
  const [a, b] = evalExpr(doc, args, options) as Value[]
  return test(a, b)
}

// mingo compares JavaScript values; the server compares BSON types in their order
const comparisons = {
  $eq: pair('$eq', (a, b) => compare(a, b) === 0),
  $ne: pair('$ne', (a, b) => compare(a, b) !== 0),
  $gt: pair('$gt', (a, b) => compare(a, b) > 0),
  $gte: pair('$gte', (a, b) => compare(a, b) >= 0),
  $lt: pair('$lt', (a, b) => compare(a, b) < 0),
  $lte: pair('$lte', (a, b) => compare(a, b) <= 0),
  $cmp: pair('$cmp', (a, b) => Math.sign(compare(a, b))),
  $in: pair('$in', (a, b) => {
    if (!Array.isArray(b)) throw new CommandError(40081, `$in requires an array as a second argument, found: ${b === undefined ? 'missing' : typeName(b)}`)
    return b.some((item) => compare(a, item) === 0)
  }),
  $type: (doc: Value, args: Value, options: Options) => {
    const value = evalExpr(doc, Array.isArray(args) ? args[0] : args, options)
    return value === undefined ? 'missing' : typeName(value)
  }
}

/** mingo's operators, with the server's comparisons in place of its own. */
export const context = Context.init({
  accumulator: accumulators as Doc,
  expression: { ...expressions, ...comparisons } as Doc,
  projection: projections as Doc,
  query: queries as Doc,
  window: windows as Doc
})

/** A value as mingo reckons with it: Int32, Double and every Long that is a safe integer as numbers. */
export function plain (value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  switch (value._bsontype) {
    case undefined: break
    case 'Int32':
    case 'Double': return value.value
    case 'Long': {
      const number = value.toNumber()
      return Number.isSafeInteger(number) ? number : value
    }
    case 'DBRef': return plain(fieldsOf(value))
    default: return value
  }
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Date) return value
  const out: Doc = {}
  for (const name of Object.keys(value)) out[name] = plain(value[name])
  return out
}

/** The value at a dotted path of an aggregation expression: an array on the way gives the array of its elements' values. */
export function valueAt (value: Value, names: string[], depth = 0): Value {
  if (depth === names.length) return value
  if (Array.isArray(value)) return value.map((item) => isDocument(item) || Array.isArray(item) ? valueAt(item, names, depth) : undefined).filter((item) => item !== undefined)
  return isDocument(value) ? valueAt(field(value, names[depth]!), names, depth + 1) : undefined
}

function check (expression: Value): void {
  if (Array.isArray(expression)) expression.forEach(check)
  else if (isDocument(expression)) {
    const names = Object.keys(expression)
    const operator = names.find((name) => name[0] === '$')
    if (operator !== undefined) {
      if (names.length > 1) throw new CommandError(15983, `an object representing an expression must have exactly one field: { ${names.join(', ')} }`)
      if (context.getOperator(OpType.EXPRESSION, operator) === null && context.getOperator(OpType.ACCUMULATOR, operator) === null) {
        throw new CommandError(168, `Unrecognized expression '${operator}'`)
      }
      if (operator === '$literal') return
    }
    for (const name of names) check(expression[name])
  } else if (typeof expression === 'string' && expression === '$') throw new CommandError(16872, "'$' by itself is not a valid FieldPath")
}

export type Evaluate = (doc: Doc) => Value

/** Runs mingo and answers its complaints as a server's error. */
export function guarded<T> (run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError('BadValue', (error as Error).message)
  }
}

/**
 * Compiles an aggregation expression. A plain field path keeps the exact BSON value; operators are mingo's.
 * Throws 168 for an unknown operator.
 */
export function evaluator (expression: Value, variables: Doc = {}): Evaluate {
  check(expression)
  return compile(expression, plain(variables))
}

function compile (expression: Value, variables: Doc): Evaluate {
  if (typeof expression === 'string' && expression[0] === '$' && expression[1] !== '$') {
    const names = expression.slice(1).split('.')
    return (doc) => valueAt(doc, names)
  }
  if (expression === '$$ROOT' || expression === '$$CURRENT') return (doc) => doc
  if (typeof expression === 'string' && expression[0] === '$') {
    return (doc) => guarded(() => evalExpr(plain(doc), expression, { context, variables } as unknown as Options))
  }
  if (Array.isArray(expression)) {
    const items = expression.map((item) => compile(item, variables))
    return (doc) => items.map((item) => item(doc) ?? null)
  }
  if (!isDocument(expression)) return () => expression
  const names = Object.keys(expression)
  if (names[0]?.[0] !== '$') {
    const parts = names.map((name) => [name, compile(expression[name], variables)] as const)
    return (doc) => {
      const out: Doc = {}
      for (const [name, part] of parts) {
        const value = part(doc)
        if (value !== undefined) out[name] = value
      }
      return out
    }
  }
  if (names[0] === '$literal') return () => expression.$literal
  const prepared = plain(expression)
  const options = { context, variables } as unknown as Options
  return (doc) => guarded(() => evalExpr(plain(doc), prepared, options))
}
