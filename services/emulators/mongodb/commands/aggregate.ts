import { Double, Int32 } from 'bson'
import type { Doc, Value } from '../bson/bson.ts'
import { field, integer, isDocument, namesOf, setField, toNumber } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'
import { matches, parseFilter, typeName } from '../query/filter.ts'
import { compare, keyOf, keyParts, sortKey } from '../bson/keys.ts'
import { arithmetic } from '../bson/arithmetic.ts'
import { projection } from '../query/projection.ts'
import type { Clock } from '../query/clock.ts'

/** The most that one stage may hold in memory, as in mongod. */
export const maxStageBytes = 100 * 1024 * 1024

/** A stage reads documents one by one and yields its results; `clock` lets other clients run meanwhile. */
export type Stage = (docs: AsyncIterable<Doc>, clock: Clock) => AsyncIterable<Doc>

/** Stages of MongoDB 7.0 that this database does not have. */
const refused = new Set([
  '$addFields', '$bucket', '$bucketAuto', '$changeStreamSplitLargeEvent', '$collStats', '$currentOp', '$densify',
  '$documents', '$facet', '$fill', '$geoNear', '$graphLookup', '$indexStats', '$listLocalSessions', '$listSessions',
  '$lookup', '$merge', '$out', '$planCacheStats', '$redact', '$replaceRoot', '$replaceWith', '$sample', '$search',
  '$searchMeta', '$set', '$setWindowFields', '$sortByCount', '$unionWith', '$unset', '$unwind', '$vectorSearch'
])

export const notSupported = (what: string): CommandError =>
  new CommandError('CommandNotSupported', `${what} is not supported by this database`)

/** The name and argument of a stage. Throws 40323 or 40324 for what is none, 115 for one that is not supported. */
export function stageOf (stage: Value): [string, Value] {
  const names = isDocument(stage) ? Object.keys(stage) : []
  if (names.length !== 1) {
    throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.')
  }
  const [name] = names as [string]
  if (name === '$changeStream') {
    throw new CommandError(40573, 'The $changeStream stage is only supported on replica sets')
  }
  if (refused.has(name)) throw notSupported(name)
  if (!Object.hasOwn(stages, name)) throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`)
  return [name, stage[name]]
}

/** A whole number that a stage takes. */
export function stageNumber (name: string, value: Value): number {
  const number = toNumber(value)
  if (number === undefined || !Number.isInteger(number)) {
    const code = number === undefined ? 2107201 : 5107201
    throw new CommandError(code, `invalid argument to ${name} stage: Expected an integer: ${name}: ${String(number ?? value)}`)
  }
  if (number < 0) {
    throw new CommandError(5107200, `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${number}`)
  }
  if (name === '$limit' && number === 0) throw new CommandError(15958, 'the limit must be positive')
  return number
}

export function checkSort (spec: Value): Doc {
  if (!isDocument(spec)) throw new CommandError(15973, 'the $sort key specification must be an object')
  if (Object.keys(spec).length === 0) throw new CommandError(15976, '$sort stage must have at least one sort key')
  return checkDirections(spec)
}

/** A sort specification with 1 and -1 as plain numbers. */
export function checkDirections (spec: Doc): Doc {
  const out: Doc = {}
  for (const path of namesOf(spec)) {
    const direction = toNumber(spec[path])
    if (isDocument(spec[path]) && spec[path].$meta !== undefined) throw notSupported('$meta')
    if (direction === undefined) {
      throw new CommandError(15974, `Illegal key in $sort specification: ${path}: ${typeName(spec[path])}`)
    }
    if (direction !== 1 && direction !== -1) {
      throw new CommandError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)')
    }
    if (path === '' || path.split('.').includes('')) {
      throw new CommandError(40353, 'FieldPath must not end with a \'.\'.')
    }
    setField(out, path, direction)
  }
  return out
}

export type Evaluate = (doc: Doc) => Value

/** A field path or a constant; any other expression is refused. Throws 168 for an unknown operator's name. */
function operand (expression: Value): Evaluate {
  if (typeof expression === 'string' && expression[0] === '$') {
    if (expression === '$') throw new CommandError(16872, "'$' by itself is not a valid FieldPath")
    if (expression[1] === '$') throw notSupported(`the variable ${expression}`)
    const names = expression.slice(1).split('.')
    return (doc) => valueAt(doc, names)
  }
  if (Array.isArray(expression)) throw notSupported('an array as an expression')
  if (isDocument(expression) && Object.keys(expression).length > 0) throw notSupported('an aggregation expression')
  return () => expression
}

/** The value at a dotted path: an array on the way gives the array of its elements' values. */
function valueAt (value: Value, names: string[], depth = 0): Value {
  if (depth === names.length) return value
  if (Array.isArray(value)) {
    return value.map((item) => isDocument(item) || Array.isArray(item) ? valueAt(item, names, depth) : undefined)
      .filter((item) => item !== undefined)
  }
  return isDocument(value) ? valueAt(field(value, names[depth]!), names, depth + 1) : undefined
}

type Accumulate = (state: Value, value: Value) => Value

const sum: Accumulate = (total, value) => {
  if (toNumber(value) === undefined) return total
  return arithmetic('+', total, value) ?? new Double(toNumber(total)! + toNumber(value)!)
}

const extreme = (sign: number): Accumulate => (best, value) => {
  if (value === undefined || value === null) return best
  return best === null || compare(value, best) * sign > 0 ? value : best
}

const accumulators: Record<string, { start: Value, add: Accumulate }> = {
  $sum: { start: new Int32(0), add: sum },
  $count: { start: new Int32(0), add: (n) => arithmetic('+', n, new Int32(1)) },
  $min: { start: null, add: extreme(-1) },
  $max: { start: null, add: extreme(1) }
}
const refusedAccumulators = new Set([
  '$accumulator', '$addToSet', '$avg', '$bottom', '$bottomN', '$first', '$firstN', '$last', '$lastN', '$maxN', '$median',
  '$mergeObjects', '$minN', '$percentile', '$push', '$stdDevPop', '$stdDevSamp', '$top', '$topN'
])

interface GroupField { name: string, start: Value, add: Accumulate, evaluate: Evaluate }

function groupField (name: string, spec: Value): GroupField {
  const operators = isDocument(spec) ? Object.keys(spec) : []
  const operator = operators[0]
  if (operator?.[0] !== '$') throw new CommandError(40234, `The field '${name}' must be an accumulator object`)
  if (operators.length > 1) throw new CommandError(40238, `The field '${name}' must specify one accumulator`)
  if (name.includes('.')) throw new CommandError(40235, `The field name '${name}' cannot contain '.'`)
  if (refusedAccumulators.has(operator)) throw notSupported(operator)
  if (!Object.hasOwn(accumulators, operator)) throw new CommandError(15952, `unknown group operator '${operator}'`)
  return { name, ...accumulators[operator]!, evaluate: operator === '$count' ? () => null : operand(spec[operator]) }
}

function group (spec: Value): Stage {
  if (!isDocument(spec)) throw new CommandError(15947, 'a group\'s fields must be specified in an object')
  if (!Object.hasOwn(spec, '_id')) throw new CommandError(15955, 'a group specification must include an _id')
  const id = operand(spec._id)
  const fields = Object.keys(spec).filter((name) => name !== '_id').map((name) => groupField(name, spec[name]))
  return async function * (docs) {
    const groups = new Map<string, { id: Value, states: Value[] }>()
    let held = 0
    for await (const doc of docs) {
      const value = id(doc) ?? null
      const key = keyOf(value).toString('latin1')
      let entry = groups.get(key)
      if (entry === undefined) {
        groups.set(key, entry = { id: value, states: fields.map(({ start }) => start) })
        held += 2 * key.length + 100
        checkStage('$group', held)
      }
      for (const [i, { add, evaluate }] of fields.entries()) entry.states[i] = add(entry.states[i], evaluate(doc))
    }
    for (const { id, states } of groups.values()) {
      const out: Doc = { _id: id }
      for (const [i, { name }] of fields.entries()) setField(out, name, states[i])
      yield out
    }
  }
}

/** Throws 292 once a stage holds more than it may. */
export function checkStage (name: string, bytes: number): void {
  if (bytes <= maxStageBytes) return
  throw new CommandError('QueryExceededMemoryLimitNoDiskUseAllowed',
    `Exceeded memory limit for ${name} of ${maxStageBytes} bytes; this database does not spill to disk`)
}

function sort (spec: Value): Stage {
  const parts = keyParts(checkSort(spec))
  return async function * (docs, clock) {
    const entries: Array<{ doc: Doc, key: Buffer }> = []
    let held = 0
    for await (const doc of docs) {
      const key = sortKey(doc, parts)
      entries.push({ doc, key })
      held += 2 * key.length + keyOf(doc).length + 100
      checkStage('$sort', held)
    }
    for (const { doc } of await clock.sort(entries, (a, b) => Buffer.compare(a.key, b.key))) yield doc
  }
}

function count (spec: Value): Stage {
  if (typeof spec !== 'string' || spec === '') throw new CommandError(40156, 'the count field must be a non-empty string')
  if (spec[0] === '$') throw new CommandError(40158, 'the count field cannot be a $-prefixed path')
  if (spec.includes('.')) throw new CommandError(40160, "the count field cannot contain '.'")
  return async function * (docs) {
    let n = 0
    for await (const doc of docs) n += Number(doc !== undefined)
    if (n === 0) return
    const out: Doc = {}
    setField(out, spec, integer(n))
    yield out
  }
}

function match (spec: Value): Stage {
  if (!isDocument(spec)) throw new CommandError(15959, 'the match filter must be an expression in an object')
  const filter = parseFilter(spec)
  return async function * (docs) {
    for await (const doc of docs) if (matches(filter, doc)) yield doc
  }
}

function limit (spec: Value): Stage {
  const most = stageNumber('$limit', spec)
  return async function * (docs) {
    let n = 0
    for await (const doc of docs) {
      yield doc
      if (++n >= most) return
    }
  }
}

function skip (spec: Value): Stage {
  const first = stageNumber('$skip', spec)
  return async function * (docs) {
    let n = 0
    for await (const doc of docs) if (n++ >= first) yield doc
  }
}

function project (spec: Value): Stage {
  if (!isDocument(spec)) throw new CommandError(15969, '$project specification must be an object')
  if (Object.keys(spec).length === 0) {
    throw new CommandError(51272, 'Invalid $project :: caused by :: projection specification must have at least one field')
  }
  const shape = projection(spec, true)
  return async function * (docs) {
    for await (const doc of docs) yield shape(doc)
  }
}

const stages: Record<string, (spec: Value) => Stage> = {
  $match: match, $sort: sort, $limit: limit, $skip: skip, $count: count, $group: group, $project: project
}

export function compileStage (stage: Value): Stage {
  const [name, spec] = stageOf(stage)
  return stages[name]!(spec)
}
