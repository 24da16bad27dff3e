import { Aggregator } from 'mingo'
import * as stages from 'mingo/operators/pipeline'
import { OpType } from 'mingo/core'
import type { Options } from 'mingo/types'
import { Double, Int32 } from 'bson'
import type { Doc, Value } from './bson.ts'
import { integer, isDocument, setField, toNumber } from './bson.ts'
import { CommandError } from './errors.ts'
import type { Evaluate } from './expression.ts'
import { context, evaluator, guarded, plain } from './expression.ts'
import { matches, parseFilter, typeName } from './filter.ts'
import { compare, keyOf, keyParts, sortKey } from './keys.ts'
import { arithmetic } from './number.ts'
import { projection } from './projection.ts'

export type Resolve = (collection: string) => Doc[]
type Stage = (docs: Iterable<Doc>) => Iterable<Doc>

const mingoContext = context.addPipelineOps(stages as Doc)
const refused = new Set(['$out', '$merge', '$function', '$accumulator', '$geoNear', '$search', '$vectorSearch', '$searchMeta'])

/** The name and argument of a stage. Throws 40323 or 40324 for what is none. */
export function stageOf (stage: Value): [string, Value] {
  const names = isDocument(stage) ? Object.keys(stage) : []
  if (names.length !== 1) throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.')
  const [name] = names as [string]
  if (name === '$changeStream') throw new CommandError(40573, 'The $changeStream stage is only supported on replica sets')
  if (refused.has(name)) throw new CommandError('CommandNotSupported', `${name} is not supported by this database`)
  if (!Object.hasOwn(own, name) && mingoContext.getOperator(OpType.PIPELINE, name) === null) throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`)
  return [name, stage[name]]
}

/** A whole number that a stage takes. */
export function stageNumber (name: string, value: Value): number {
  const number = toNumber(value)
  if (number === undefined || !Number.isInteger(number)) throw new CommandError(number === undefined ? 2107201 : 5107201, `invalid argument to ${name} stage: Expected an integer: ${name}: ${String(number ?? value)}`)
  if (number < 0) throw new CommandError(5107200, `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${number}`)
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
  for (const path of Object.keys(spec)) {
    const direction = toNumber(spec[path])
    if (isDocument(spec[path]) && spec[path].$meta !== undefined) throw new CommandError('CommandNotSupported', '$meta is not supported by this database')
    if (direction === undefined) throw new CommandError(15974, `Illegal key in $sort specification: ${path}: ${typeName(spec[path])}`)
    if (direction !== 1 && direction !== -1) throw new CommandError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)')
    if (path === '' || path.split('.').includes('')) throw new CommandError(40353, 'FieldPath must not end with a \'.\'.')
    out[path] = direction
  }
  return out
}

/** The stages that change one document at a time. */
export function transformation (name: string, spec: Value, variables: Doc): (doc: Doc) => Doc {
  switch (name) {
    case '$project':
      if (!isDocument(spec)) throw new CommandError(15969, '$project specification must be an object')
      if (Object.keys(spec).length === 0) throw new CommandError(51272, 'Invalid $project :: caused by :: projection specification must have at least one field')
      return projection(spec, variables, true)
    case '$unset': return projection(Object.fromEntries((Array.isArray(spec) ? spec : [spec]).map((path: string) => [path, 0])), variables, true)
    case '$set':
    case '$addFields': {
      if (!isDocument(spec)) throw new CommandError(40272, `${name} specification stage must be an object, got ${typeName(spec)}`)
      const fields: Array<[string[], Evaluate]> = []
      const read = (path: string[], value: Value): void => {
        const nested = isDocument(value) && Object.keys(value).length > 0 && Object.keys(value)[0]![0] !== '$'
        if (nested) for (const key of Object.keys(value)) read([...path, key], value[key])
        else fields.push([path, evaluator(value, variables)])
      }
      for (const path of Object.keys(spec)) read(path.split('.'), spec[path])
      return (doc) => {
        let out = doc
        for (const [path, evaluate] of fields) out = withField(out, path, 0, evaluate(doc))
        return out
      }
    }
    default: {
      const expression = name === '$replaceRoot' ? spec?.newRoot : spec
      const evaluate = evaluator(expression, variables)
      return (doc) => {
        const out = evaluate(doc)
        if (!isDocument(out)) throw new CommandError(40228, `'newRoot' expression  must evaluate to an object, but resulting value was: ${typeName(out)}`)
        return out
      }
    }
  }
}

function withField (value: Value, path: string[], depth: number, to: Value): Value {
  if (depth === path.length) return to
  if (Array.isArray(value)) return value.map((item) => withField(item, path, depth, to))
  const out: Doc = isDocument(value) ? { ...value } : {}
  const next = withField(out[path[depth]!], path, depth + 1, to)
  if (next === undefined) delete out[path[depth]!]
  else setField(out, path[depth]!, next)
  return out
}

type Accumulate = (state: Value, value: Value) => Value
const sum: Accumulate = (total, value) => toNumber(value) === undefined ? total : arithmetic('+', total, value) ?? new Double(toNumber(total)! + toNumber(value)!)
const present = (value: Value): boolean => value !== undefined && value !== null

// mingo's would lose the BSON type of what they gather
const accumulators: Record<string, { start: () => Value, add: Accumulate, end?: (state: Value) => Value }> = {
  $sum: { start: () => new Int32(0), add: sum },
  $count: { start: () => new Int32(0), add: (n) => arithmetic('+', n, new Int32(1)) },
  $avg: {
    start: () => ({ total: new Int32(0), n: 0 }),
    add: (state, value) => toNumber(value) === undefined ? state : { total: sum(state.total, value), n: state.n + 1 },
    end: ({ total, n }) => n === 0 ? null : total._bsontype === 'Decimal128' ? arithmetic('*', total, new Double(1 / n)) : new Double(toNumber(total)! / n)
  },
  $min: { start: () => null, add: (best, value) => present(value) && (best === null || compare(value, best) < 0) ? value : best },
  $max: { start: () => null, add: (best, value) => present(value) && (best === null || compare(value, best) > 0) ? value : best },
  $first: { start: () => undefined, add: (first, value) => first === undefined ? { value: value ?? null } : first, end: (first) => first?.value ?? null },
  $last: { start: () => null, add: (_, value) => value ?? null },
  $push: { start: () => [], add: (list, value) => { if (value !== undefined) list.push(value); return list } },
  $addToSet: {
    start: () => new Map(),
    add: (set: Map<string, Value>, value) => {
      if (value === undefined) return set
      const key = keyOf(value).toString('latin1')
      if (!set.has(key)) set.set(key, value)
      return set
    },
    end: (set: Map<string, Value>) => [...set.values()]
  },
  $mergeObjects: { start: () => ({}), add: (all, value) => isDocument(value) ? { ...all, ...value } : all }
}

function group (spec: Value, variables: Doc, by?: Evaluate): Stage {
  if (!isDocument(spec)) throw new CommandError(15947, 'a group\'s fields must be specified in an object')
  if (!Object.hasOwn(spec, '_id')) throw new CommandError(15955, 'a group specification must include an _id')
  const id = by ?? evaluator(spec._id, variables)
  const fields = Object.keys(spec).filter((name) => name !== '_id').map((name) => {
    const operator = isDocument(spec[name]) ? Object.keys(spec[name]) : []
    if (operator.length === 0 || operator[0]![0] !== '$') throw new CommandError(40234, `The field '${name}' must be an accumulator object`)
    if (operator.length > 1) throw new CommandError(40238, `The field '${name}' must specify one accumulator`)
    if (name.includes('.')) throw new CommandError(40235, `The field name '${name}' cannot contain '.'`)
    const own = accumulators[operator[0]!]
    if (own === undefined && context.getOperator(OpType.ACCUMULATOR, operator[0]!) === null) throw new CommandError(15952, `unknown group operator '${operator[0]}'`)
    return { name, operator: operator[0]!, spec: spec[name], own, evaluate: own === undefined || operator[0] === '$count' ? undefined : evaluator(spec[name][operator[0]!], variables) }
  })
  return function * (docs) {
    const groups = new Map<string, { id: Value, states: Value[] }>()
    for (const doc of docs) {
      const value = id(doc) ?? null
      const key = keyOf(value).toString('latin1')
      let entry = groups.get(key)
      if (entry === undefined) groups.set(key, entry = { id: value, states: fields.map(({ own }) => own === undefined ? [] : own.start()) })
      for (const [i, { own, evaluate }] of fields.entries()) {
        if (own === undefined) entry.states[i].push(plain(doc))
        else entry.states[i] = own.add(entry.states[i], evaluate?.(doc))
      }
    }
    for (const { id, states } of groups.values()) {
      const out: Doc = { _id: id }
      for (const [i, { name, own, operator, spec: accumulator }] of fields.entries()) {
        if (own !== undefined) out[name] = own.end === undefined ? states[i] : own.end(states[i])
        else {
          const run = context.getOperator(OpType.ACCUMULATOR, operator)!
          out[name] = guarded(() => run(states[i], plain(accumulator[operator]), { context, variables } as unknown as Options))
        }
      }
      yield out
    }
  }
}

function unwind (spec: Value): Stage {
  const path = typeof spec === 'string' ? spec : spec?.path
  if (typeof path !== 'string') throw new CommandError(28812, 'no path specified to $unwind stage')
  if (path[0] !== '$') throw new CommandError(28818, `path option to $unwind stage should be prefixed with a '$': ${path}`)
  const names = path.slice(1).split('.')
  const keep = spec?.preserveNullAndEmptyArrays === true
  const indexField: string | undefined = spec?.includeArrayIndex
  return function * (docs) {
    for (const doc of docs) {
      let value: Value = doc
      for (const name of names) value = isDocument(value) ? value[name] : undefined
      const numbered = (out: Doc, i: number | null): Doc => indexField === undefined ? out : withField(out, indexField.split('.'), 0, i === null ? null : integer(i))
      if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) yield numbered(withField(doc, names, 0, item), i)
        if (value.length === 0 && keep) yield numbered(withField(doc, names, 0, undefined), null)
      } else if (value !== undefined && value !== null) yield numbered(doc, null)
      else if (keep) yield numbered(doc, null)
    }
  }
}

export function sortDocuments (docs: Doc[], spec: Doc): Doc[] {
  const parts = keyParts(spec)
  return docs.map((doc) => ({ doc, key: sortKey(doc, parts) })).sort((a, b) => Buffer.compare(a.key, b.key)).map(({ doc }) => doc)
}

function each (transform: (doc: Doc) => Doc): Stage {
  return function * (docs) {
    for (const doc of docs) yield transform(doc)
  }
}

const own: Record<string, (spec: Value, variables: Doc, resolve: Resolve) => Stage> = {
  $match: (spec, variables) => {
    if (!isDocument(spec)) throw new CommandError(15959, 'the match filter must be an expression in an object')
    const filter = parseFilter(spec, variables)
    return function * (docs) {
      for (const doc of docs) if (matches(filter, doc)) yield doc
    }
  },
  $sort: (spec) => {
    const order = checkSort(spec)
    return (docs) => sortDocuments([...docs], order)
  },
  $limit: (spec) => {
    const limit = stageNumber('$limit', spec)
    return function * (docs) {
      let n = 0
      for (const doc of docs) {
        yield doc
        if (++n >= limit) return
      }
    }
  },
  $skip: (spec) => {
    const skip = stageNumber('$skip', spec)
    return function * (docs) {
      let n = 0
      for (const doc of docs) if (n++ >= skip) yield doc
    }
  },
  $count: (spec) => {
    if (typeof spec !== 'string' || spec === '') throw new CommandError(40156, 'the count field must be a non-empty string')
    if (spec[0] === '$') throw new CommandError(40158, 'the count field cannot be a $-prefixed path')
    if (spec.includes('.')) throw new CommandError(40160, "the count field cannot contain '.'")
    return function * (docs) {
      let n = 0
      for (const doc of docs) n += Number(doc !== undefined)
      if (n > 0) yield { [spec]: integer(n) }
    }
  },
  $group: (spec, variables) => group(spec, variables),
  $unwind: unwind,
  $sortByCount: (spec, variables) => {
    const stage = group({ _id: spec, count: { $sum: new Int32(1) } }, variables)
    return (docs) => sortDocuments([...stage(docs)], { count: -1 })
  },
  $bucket: (spec, variables) => {
    if (!isDocument(spec) || !Array.isArray(spec.boundaries) || spec.groupBy === undefined) throw new CommandError(40198, '$bucket requires \'groupBy\' and \'boundaries\' to be specified.')
    const { boundaries } = spec
    if (boundaries.length < 2) throw new CommandError(40192, 'The $bucket \'boundaries\' field must have at least 2 values, but found 1 value(s).')
    if (boundaries.some((bound, i) => i > 0 && compare(boundaries[i - 1], bound) >= 0)) throw new CommandError(40194, 'The \'boundaries\' option to $bucket must be sorted, but elements are not in ascending order')
    const value = evaluator(spec.groupBy, variables)
    const stage = group({ _id: '$bucket', ...spec.output ?? { count: { $sum: new Int32(1) } } }, variables, (doc) => {
      const at = value(doc) ?? null
      const above = boundaries.findIndex((bound) => compare(at, bound) < 0)
      if (above > 0) return boundaries[above - 1]
      if (!Object.hasOwn(spec, 'default')) throw new CommandError(40066, '$switch could not find a matching branch for an input, and no default was specified.')
      return spec.default
    })
    return (docs) => sortDocuments([...stage(docs)], { _id: 1 })
  },
  $facet: (spec, variables, resolve) => {
    const facets = Object.keys(spec).map((name) => [name, spec[name].map((stage: Value) => compileStage(stage, variables, resolve))] as const)
    return function * (docs) {
      const all = [...docs]
      yield Object.fromEntries(facets.map(([name, list]) => [name, [...list.reduce((input: Iterable<Doc>, stage: Stage) => stage(input), all)]]))
    }
  }
}
for (const name of ['$project', '$unset', '$set', '$addFields', '$replaceRoot', '$replaceWith']) own[name] = (spec, variables) => each(transformation(name, spec, variables))

/** A stage of a pipeline: those below by us, since they keep BSON types, all others by mingo. */
export function compileStage (stage: Value, variables: Doc, resolve: Resolve): Stage {
  const [name, spec] = stageOf(stage)
  if (Object.hasOwn(own, name)) return own[name]!(spec, variables, resolve)
  const options = { context: mingoContext, variables: plain(variables), collectionResolver: (from: string) => resolve(from).map(plain), scriptEnabled: false } as unknown as Options
  return (docs) => guarded(() => new Aggregator([{ [name]: plain(spec) }], options).run([...docs].map(plain)) as Doc[])
}
