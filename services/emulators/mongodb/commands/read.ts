import { keyParts } from '../bson/keys.ts'
import { isDocument, toNumber, typeName } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { parseFilter } from '../query/filter.ts'
import { Finder, countMatches, searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import { compileProjection } from '../query/projection.ts'
import { compileStage } from '../query/stage-projection.ts'
import { arrayOption, collectionName, countOption, documentOption, findCollection } from './command.ts'
import type { Command, Handler, Reply } from './command.ts'
import { firstBatch, listReply } from './cursors.ts'
import { checkOptions } from './options.ts'

/** The size of a first batch for which the client asks nothing. */
const defaultBatch = 101

/** Throws for a sort other than by fields, each ascending (1) or descending (-1). */
function checkSort (spec: Doc): Doc {
  for (const [path, value] of Object.entries(spec)) {
    const direction = toNumber(value)
    if (path === '$natural' || isDocument(value)) throw notSupported(`a sort by ${path}: ${typeName(value)}`)
    if (direction === undefined) {
      throw new CommandError(15974, `Illegal key in $sort specification: ${path}: ${typeName(value)}`)
    }
    if (direction !== 1 && direction !== -1) {
      throw new CommandError('BadValue',
        '$sort key ordering must be 1 (for ascending) or -1 (for descending)')
    }
    if (path.split('.').includes('')) throw new CommandError(40353, "FieldPath must not end with a '.'.")
  }
  return spec
}

/** A hint, undefined for none. */
export function hintOf (hint: Value): Value {
  return isDocument(hint) && Object.keys(hint).length === 0 ? undefined : hint
}

function findSearch (command: Command): Search {
  const single = command.body.singleBatch === true ? countOption(command, 'batchSize') : undefined
  return {
    filter: parseFilter(documentOption(command, 'filter')),
    sort: keyParts(checkSort(documentOption(command, 'sort'))),
    hint: hintOf(command.body.hint),
    skip: countOption(command, 'skip') ?? 0,
    limit: (countOption(command, 'limit') || single) || Infinity,
    project: compileProjection(documentOption(command, 'projection'))
  }
}

const find: Handler = (command) => {
  const search = findSearch(command)
  const size = countOption(command, 'batchSize') ?? Math.min(search.limit, defaultBatch)
  const collection = findCollection(command)
  const finder = collection === undefined ? undefined : new Finder(collection, search, command.clock)
  return firstBatch(command, `${command.database}.${collectionName(command)}`, finder, size)
}

/** How many documents of the command's collection match. */
async function countIn (command: Command, search: Search): Promise<number> {
  const collection = findCollection(command)
  return collection === undefined ? 0 : await countMatches(collection, search, command.clock)
}

const count: Handler = async (command) => {
  const n = await countIn(command, searchOf({
    filter: parseFilter(documentOption(command, 'query')),
    skip: countOption(command, 'skip') ?? 0,
    limit: countOption(command, 'limit') || Infinity,
    hint: hintOf(command.body.hint)
  }))
  return { n, ok: 1 }
}

/** The supported stages in their order. $group is the one with which drivers count documents. */
const stageOrder = ['$match', '$sort', '$skip', '$limit', '$project', '$group']

/** Other stages of MongoDB 7.0. */
const unsupportedStages = new Set([
  '$addFields', '$bucket', '$bucketAuto', '$changeStream', '$collStats', '$count', '$currentOp', '$densify',
  '$documents', '$facet', '$fill', '$geoNear', '$graphLookup', '$indexStats', '$lookup', '$merge', '$out',
  '$planCacheStats', '$redact', '$replaceRoot', '$replaceWith', '$sample', '$search', '$set',
  '$setWindowFields', '$sortByCount', '$unionWith', '$unset', '$unwind', '$vectorSearch'
])

function stageOf (stage: Value): [name: string, spec: Value] {
  const [first, ...others] = isDocument(stage) ? Object.entries(stage) : []
  if (first === undefined || others.length > 0) {
    throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.')
  }
  const [name] = first
  if (unsupportedStages.has(name)) throw notSupported(name)
  if (!stageOrder.includes(name)) throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`)
  return first
}

function stageNumber (name: string, value: Value): number {
  const number = toNumber(value) ?? NaN
  if (!Number.isInteger(number) || number < 0) {
    throw new CommandError(number < 0 ? 5107200 : 5107201,
      `invalid argument to ${name} stage: Expected a non-negative integer: ${name}: ${String(value)}`)
  }
  if (name === '$limit' && number === 0) throw new CommandError(15958, 'the limit must be positive')
  return number
}

function stageDocument (name: string, code: number, spec: Value): Doc {
  if (!isDocument(spec)) throw new CommandError(code, `the ${name} specification must be an object`)
  return spec
}

/** The field for the count in the $group of drivers. Throws CommandNotSupported for another $group. */
function countField ({ _id, ...fields }: Doc): string {
  if (_id === undefined) throw new CommandError(15955, 'a group specification must include an _id')
  const [[field, sum] = ['', undefined], ...others] = Object.entries(fields)
  const counts = isDocument(sum) && Object.keys(sum).length === 1 && toNumber(sum.$sum) === 1
  if (!counts || others.length > 0 || isDocument(_id) || typeof _id === 'string') {
    throw notSupported('a $group other than one that counts all documents')
  }
  return field
}

function parsePipeline (stages: Value[], hint: Value): { search: Search, group: Doc | undefined } {
  const search = searchOf({ filter: parseFilter({}), hint: hintOf(hint) })
  let group: Doc | undefined
  let last = -1
  for (const [name, spec] of stages.map(stageOf)) {
    const place = stageOrder.indexOf(name)
    if (place <= last) throw notSupported(`${name} at this place`)
    last = place
    if (name === '$match') search.filter = parseFilter(stageDocument(name, 15959, spec))
    else if (name === '$sort') search.sort = keyParts(checkSort(stageDocument(name, 15973, spec)))
    else if (name === '$project') search.project = compileStage(stageDocument(name, 15969, spec))
    else if (name === '$skip') search.skip = stageNumber(name, spec)
    else if (name === '$limit') search.limit = stageNumber(name, spec)
    else group = stageDocument(name, 15947, spec)
  }
  if (group && (search.project || search.sort.length > 0)) throw notSupported('$group of other than a count')
  return { search, group }
}

/** The documents that a pipeline without $group finds. */
function aggregated (command: Command, namespace: string, search: Search): Promise<Reply> {
  const cursor = documentOption(command, 'cursor')
  const size = countOption(command, 'cursor.batchSize', cursor.batchSize) ?? defaultBatch
  const collection = findCollection(command)
  const finder = collection === undefined ? undefined : new Finder(collection, search, command.clock)
  return firstBatch(command, namespace, finder, size)
}

const aggregate: Handler = async (command) => {
  const { body, database } = command
  if (typeof body.aggregate !== 'string') throw notSupported('an aggregate without a collection')
  const { search, group } = parsePipeline(arrayOption(command, 'pipeline'), body.hint)
  const field = group && countField(group)
  if (body.cursor === undefined) {
    throw new CommandError('FailedToParse',
      "The 'cursor' option is required, except for aggregate with the explain argument")
  }
  const namespace = `${database}.${collectionName(command)}`
  if (group === undefined || field === undefined) return aggregated(command, namespace, search)
  const n = await countIn(command, search)
  const docs = n === 0 ? [] : [{ _id: group._id, [field]: n }]
  return listReply(command, namespace, docs)
}

const verbosities = ['queryPlanner', 'executionStats', 'allPlansExecution']

const explain: Handler = async (command) => {
  const body = documentOption(command, 'explain')
  const verbosity = command.body.verbosity ?? 'allPlansExecution'
  if (!verbosities.includes(String(verbosity))) {
    throw new CommandError('BadValue',
      "verbosity string must be one of {'queryPlanner', 'executionStats', 'allPlansExecution'}")
  }
  if (Object.keys(body)[0] !== 'find') throw notSupported('an explain of other commands than find')
  checkOptions('find', body)
  const explained = { ...command, name: 'find', body }
  const search = findSearch(explained)
  const collection = findCollection(explained)
  const finder = collection === undefined ? undefined : new Finder(collection, search, command.clock)
  return {
    explainVersion: '1',
    queryPlanner: {
      namespace: `${command.database}.${collectionName(explained)}`,
      winningPlan: finder === undefined ? { stage: 'EOF' } : stagesOf(finder),
      rejectedPlans: []
    },
    ...(verbosity === 'queryPlanner' ? {} : { executionStats: await execute(finder) }),
    ok: 1
  }
}

async function execute (finder: Finder | undefined): Promise<Doc> {
  const started = performance.now()
  let n = 0
  while (await finder?.next() !== undefined) n++
  const { keys, docs } = finder?.scan.examined ?? { keys: 0, docs: 0 }
  return {
    executionSuccess: true,
    nReturned: n,
    executionTimeMillis: Math.round(performance.now() - started),
    totalKeysExamined: keys,
    totalDocsExamined: docs
  }
}

/** The stages of a plan, the outermost first. */
function stagesOf ({ plan: { index, reverse, sorted }, search }: Finder): Doc {
  const direction = reverse ? 'backward' : 'forward'
  let stage: Doc = { stage: 'COLLSCAN', direction }
  const wrap = (outer: Doc): void => { stage = { ...outer, inputStage: stage } }
  if (index !== null) {
    const { pattern, name, multikey, unique } = index
    stage = {
      stage: 'IXSCAN', keyPattern: pattern, indexName: name, isMultiKey: multikey, isUnique: unique, direction
    }
    wrap({ stage: 'FETCH' })
  }
  if (!sorted) {
    const pattern = search.sort.map(({ path, direction }) => [path, direction])
    wrap({ stage: 'SORT', sortPattern: Object.fromEntries(pattern) })
  }
  if (search.skip > 0) wrap({ stage: 'SKIP', skipAmount: search.skip })
  if (search.limit < Infinity && sorted) wrap({ stage: 'LIMIT', limitAmount: search.limit })
  if (search.project !== undefined) wrap({ stage: 'PROJECTION_DEFAULT' })
  return stage
}

export const readCommands: Record<string, Handler> = { find, count, aggregate, explain }
