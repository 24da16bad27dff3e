import { Int32, Long } from 'bson'
import { checkStage, checkSort, checkDirections, compileStage, notSupported, stageNumber, stageOf } from './aggregate.ts'
import type { Stage } from './aggregate.ts'
import type { Doc, Value } from '../bson/bson.ts'
import { decode, encode, encodeField, integer, isDocument, join, joinArray, toNumber, okField, rawField } from '../bson/bson.ts'
import type { Command, Handler, Reply } from './context.ts'
import { arrayField, collectionName, countField, documentField, refuseCollation, sessionOf } from './context.ts'
import type { Batch, Source } from './cursors.ts'
import { batchOf } from './cursors.ts'
import { CommandError } from '../errors.ts'
import { showInterval } from '../query/bounds.ts'
import type { Filter } from '../query/filter.ts'
import { parseFilter, queryOf, typeName } from '../query/filter.ts'
import type { Search } from '../query/finder.ts'
import { Finder, countMatches } from '../query/finder.ts'
import { keyOf, keyParts } from '../bson/keys.ts'
import { projection } from '../query/projection.ts'

function cursorReply (batchName: string, batch: Uint8Array[], id: Long, namespace: string): Uint8Array {
  const cursor = join([rawField(4, batchName, joinArray(batch)), encodeField('id', id), encodeField('ns', namespace)])
  return join([rawField(3, 'cursor', cursor), okField])
}

/** Answers the first documents of a source and keeps it open for the rest. */
async function firstBatch (command: Command, namespace: string, source: Source, size: number, batchSize: number | undefined, single = false): Promise<Reply> {
  const { batch, rest, done } = await batchOf(source, size)
  if (done || single) return cursorReply('firstBatch', batch, Long.ZERO, namespace)
  const cursor = command.cursors.open({
    namespace, source, next: rest, batchSize, session: sessionOf(command), user: command.client.user?.id, command: command.name, noTimeout: command.body.noCursorTimeout === true
  })
  return cursorReply('firstBatch', batch, cursor.id, namespace)
}

const nothing: Source = { next: () => undefined, finished: true, held: 0, release () {} }

export function listSource (docs: Uint8Array[]): Source {
  let at = 0
  let held = 0
  for (const doc of docs) held += doc.length
  return {
    next: () => {
      const doc = docs[at++]
      if (doc !== undefined) held -= doc.length
      return doc
    },
    get finished () { return at >= docs.length },
    get held () { return held },
    release () {}
  }
}

export async function listReply (command: Command, namespace: string, docs: Doc[]): Promise<Reply> {
  const size = isDocument(command.body.cursor) ? countField(command, 'cursor.batchSize', command.body.cursor.batchSize) : undefined
  return firstBatch(command, namespace, listSource(docs.map(encode)), size ?? Infinity, size)
}

function finderSource (finder: Finder): Source {
  return {
    clock: finder.clock,
    next: async () => {
      const found = await finder.next()
      return found === undefined ? undefined : finder.shape(found)
    },
    get finished () { return finder.finished },
    get held () { return finder.held },
    release: () => finder.release()
  }
}

export function sortField (command: Command, name = 'sort'): Doc {
  const sort = documentField(command, name)
  if (Object.keys(sort).length === 0) return sort
  if (Object.hasOwn(sort, '$natural')) return sort
  try {
    return checkDirections(sort)
  } catch (error) {
    if (error instanceof CommandError && error.code === 15975) throw new CommandError('BadValue', error.message)
    throw error
  }
}

interface FindSearch extends Search {
  size: number
  batchSize: number | undefined
  single: boolean
}

function findSearch (command: Command): FindSearch {
  const { body } = command
  refuseCollation(body.collation)
  if (body.tailable === true || body.awaitData === true) throw new CommandError('BadValue', 'error processing query: tailable cursor requested on non capped collection')
  for (const option of ['min', 'max', 'returnKey', 'showRecordId']) {
    const value = body[option]
    if (value === true || (isDocument(value) && Object.keys(value).length > 0)) throw new CommandError('CommandNotSupported', `the option ${option} is not supported by this database`)
  }
  let limit = countField(command, 'limit') ?? 0
  const batchSize = countField(command, 'batchSize')
  const single = body.singleBatch === true
  const sort = sortField(command)
  const spec = documentField(command, 'projection')
  if (single && limit === 0 && batchSize !== undefined) limit = batchSize
  const natural = sort.$natural
  return {
    filter: parseFilter(documentField(command, 'filter')),
    sort: natural === undefined ? keyParts(sort) : [],
    hint: hintOf(natural === undefined ? body.hint : { $natural: natural }),
    skip: countField(command, 'skip') ?? 0,
    limit: limit === 0 ? Infinity : limit,
    project: Object.keys(spec).length === 0 ? undefined : projection(spec),
    size: batchSize ?? (limit > 0 && limit < 101 ? limit : 101),
    batchSize,
    single
  }
}

export function hintOf (hint: Value): Value {
  return isDocument(hint) && Object.keys(hint).length === 0 ? undefined : hint
}

const find: Handler = (command) => {
  const name = collectionName(command)
  const namespace = `${command.database}.${name}`
  const search = findSearch(command)
  const collection = command.storage.collection(command.database, name)
  if (collection === undefined) return cursorReply('firstBatch', [], Long.ZERO, namespace)
  return firstBatch(command, namespace, finderSource(new Finder(collection, search, command.clock)), search.size, search.batchSize, search.single)
}

const getMore: Handler = async (command) => {
  const { body, cursors } = command
  const id = body.getMore
  if (id?._bsontype !== 'Long') throw new CommandError('TypeMismatch', `BSON field 'getMore.getMore' is the wrong type '${typeName(id)}', expected type 'long'`)
  const name = typeof body.collection === 'string' && body.collection.startsWith('$cmd.') ? body.collection : collectionName(command, body.collection)
  const namespace = `${command.database}.${name}`
  const cursor = cursors.get(id, namespace, sessionOf(command))
  const size = countField(command, 'batchSize') || Infinity
  if (cursor.busy === true) throw new CommandError(12051, `cursor id ${id.toString()} is already in use`)
  cursor.source.clock?.restart(toNumber(body.maxTimeMS))
  cursor.busy = true
  let part: Batch
  try {
    part = await batchOf(cursor.source, size, cursor.next)
  } catch (error) {
    cursors.close(id)
    throw error
  } finally {
    cursor.busy = false
  }
  cursor.next = part.rest
  if (part.done) cursors.close(id)
  else cursor.source.release()
  return cursorReply('nextBatch', part.batch, part.done ? Long.ZERO : id, namespace)
}

const killCursors: Handler = (command) => {
  const namespace = `${command.database}.${String(command.body.killCursors)}`
  const killed: Long[] = []
  const notFound: Long[] = []
  for (const id of arrayField(command, 'cursors')) {
    const number = toNumber(id)
    if (number === undefined || !Number.isInteger(number)) throw new CommandError('TypeMismatch', "BSON field 'killCursors.cursors' must hold whole numbers")
    const long = id instanceof Long ? id : Long.fromNumber(number)
    if (command.cursors.close(long, namespace)) killed.push(long)
    else notFound.push(long)
  }
  return { cursorsKilled: killed, cursorsNotFound: notFound, cursorsAlive: [], cursorsUnknown: [], ok: 1 }
}

function countSearch (command: Command): Search {
  refuseCollation(command.body.collation)
  const raw = command.body.limit
  // a negative limit counts as a positive one
  const limit = countField(command, 'limit', typeof raw?.value === 'number' ? Math.abs(raw.value) : raw) ?? 0
  return {
    filter: parseFilter(documentField(command, 'query')),
    skip: countField(command, 'skip') ?? 0,
    limit: limit === 0 ? Infinity : limit,
    hint: hintOf(command.body.hint)
  }
}

const count: Handler = async (command) => {
  const search = countSearch(command)
  const collection = command.storage.collection(command.database, collectionName(command))
  return { n: collection === undefined ? new Int32(0) : integer((await countMatches(collection, search, command.clock)).n), ok: 1 }
}

function distinctSearch (command: Command): Search {
  refuseCollation(command.body.collation)
  if (typeof command.body.key !== 'string') throw new CommandError('TypeMismatch', `BSON field 'distinct.key' is the wrong type '${typeName(command.body.key)}', expected type 'string'`)
  return { filter: parseFilter(documentField(command, 'query')), hint: hintOf(command.body.hint) }
}

const maxDistinct = 16 * 1024 * 1024
const tooBig = (): CommandError => new CommandError(17217, 'distinct too big, 16mb cap')

const distinct: Handler = async (command) => {
  const search = distinctSearch(command)
  const collection = command.storage.collection(command.database, collectionName(command))
  const values = new Map<string, Value>()
  let held = 0
  if (collection !== undefined) {
    const finder = new Finder(collection, search, command.clock)
    const names: string[] = command.body.key.split('.')
    for (let found = await finder.next(); found !== undefined; found = await finder.next()) {
      for (const value of leaves(found.doc ?? decode(found.bytes), names, 0)) {
        const key = keyOf(value).toString('latin1')
        if (values.has(key)) continue
        values.set(key, value)
        held += key.length
        if (held > 2 * maxDistinct) throw tooBig()
      }
    }
  }
  const ordered = [...values.values()].sort((a, b) => Number(b === null) - Number(a === null))
  const reply = encode({ values: ordered, ok: 1 })
  if (reply.length > maxDistinct) throw tooBig()
  return reply
}

function leaves (value: Value, names: string[], depth: number): Value[] {
  if (Array.isArray(value)) {
    if (depth < names.length && /^\d+$/.test(names[depth]!) && value[Number(names[depth])] !== undefined) return leaves(value[Number(names[depth])], names, depth + 1)
    return depth === names.length ? value.filter((item) => item !== undefined) : value.flatMap((item) => isDocument(item) ? leaves(item, names, depth) : [])
  }
  if (depth === names.length) return value === undefined ? [] : [value]
  return isDocument(value) ? leaves(value[names[depth]!], names, depth + 1) : []
}

interface Pipeline {
  search: Search
  rest: Value[]
  counts: string | undefined
}

/** What of a pipeline the storage answers: its leading $match, $sort, $skip and $limit. */
function splitPipeline (command: Command, pipeline: Value[]): Pipeline {
  const parts: Filter[] = []
  const search: Search = { filter: { kind: 'and', parts }, hint: hintOf(command.body.hint), skip: 0, limit: Infinity }
  let at = 0
  let ordered = false
  let cut = false
  for (; at < pipeline.length; at++) {
    const [name, spec] = stageOf(pipeline[at])
    if (name === '$match' && !ordered && !cut && isDocument(spec)) parts.push(parseFilter(spec))
    else if (name === '$sort' && !ordered && !cut) {
      search.sort = keyParts(checkSort(spec))
      ordered = true
    } else if (name === '$skip' && search.limit === Infinity) {
      search.skip! += stageNumber(name, spec)
      cut = true
    } else if (name === '$limit') {
      search.limit = Math.min(search.limit!, stageNumber(name, spec))
      cut = true
    } else break
  }
  if (parts.length === 1) search.filter = parts[0]!
  else search.filter = { kind: 'and', parts: parts.flatMap((part) => part.kind === 'and' ? part.parts : [part]) }
  const rest = pipeline.slice(at)
  let counts: string | undefined
  if (rest.length === 1 && !ordered) {
    const [name, spec] = stageOf(rest[0])
    // the form in which drivers count documents
    if (name === '$group' && isDocument(spec) && Object.keys(spec).length === 2 && spec._id?._bsontype === 'Int32' && spec._id.value === 1 && spec.n?.$sum?._bsontype === 'Int32' && spec.n.$sum.value === 1) counts = 'n'
  }
  return { search, rest, counts }
}

const aggregate: Handler = async (command) => {
  const { body, clock } = command
  refuseCollation(body.collation)
  const pipeline = arrayField(command, 'pipeline')
  if (body.explain === true) return await explainOf(command, 'queryPlanner')
  if (!isDocument(body.cursor)) {
    throw new CommandError('FailedToParse', "The 'cursor' option is required, except for aggregate with the explain argument")
  }
  const batchSize = countField(command, 'cursor.batchSize', body.cursor.batchSize)
  if (typeof body.aggregate !== 'string') throw notSupported('an aggregate without a collection')
  const name = collectionName(command)
  const namespace = `${command.database}.${name}`
  const { search, rest, counts } = splitPipeline(command, pipeline)
  const stages = rest.map(compileStage)
  const collection = command.storage.collection(command.database, name)
  const size = batchSize ?? 101
  if (counts !== undefined) {
    const n = collection === undefined ? 0 : (await countMatches(collection, search, clock)).n
    const docs = n === 0 ? [] : [encode({ _id: new Int32(1), n: integer(n) })]
    return await firstBatch(command, namespace, listSource(docs), size, batchSize)
  }
  if (collection === undefined) return await firstBatch(command, namespace, nothing, size, batchSize)
  const finder = new Finder(collection, search, clock)
  if (stages.length === 0) return await firstBatch(command, namespace, finderSource(finder), size, batchSize)
  return await firstBatch(command, namespace, listSource(await resultsOf(stages, finder)), size, batchSize)
}

async function resultsOf (stages: Stage[], finder: Finder): Promise<Uint8Array[]> {
  const { clock } = finder
  const results: Uint8Array[] = []
  let held = 0
  for await (const doc of stages.reduce<AsyncIterable<Doc>>((docs, stage) => stage(docs, clock), documents(finder))) {
    const bytes = encode(doc)
    if (bytes.length > 16 * 1024 * 1024) {
      throw new CommandError('BSONObjectTooLarge', `BSONObj size: ${bytes.length} is invalid. Size must be between 0 and 16793600(16MB)`)
    }
    results.push(bytes)
    held += bytes.length
    checkStage('the results', held)
    if (clock.due) await clock.pause()
  }
  return results
}

async function * documents (finder: Finder): AsyncIterable<Doc> {
  for (let found = await finder.next(); found !== undefined; found = await finder.next()) {
    yield found.doc ?? decode(found.bytes)
  }
}

/** The search of a command to be explained. */
function searchOf (command: Command): { search: Search, kind: 'find' | 'count' | 'write' } {
  const { name, body } = command
  switch (name) {
    case 'find': return { search: findSearch(command), kind: 'find' }
    case 'count': return { search: countSearch(command), kind: 'count' }
    case 'distinct': return { search: distinctSearch(command), kind: 'find' }
    case 'aggregate': {
      const { search, counts } = splitPipeline(command, arrayField(command, 'pipeline'))
      return { search, kind: counts === undefined ? 'find' : 'count' }
    }
    case 'findAndModify':
    case 'findandmodify': {
      return { search: { filter: parseFilter(documentField(command, 'query')), sort: keyParts(sortField(command)), limit: 1, hint: hintOf(body.hint) }, kind: 'write' }
    }
    case 'update':
    case 'delete': {
      const list = body[`${name}s`]
      const one = Array.isArray(list) ? list[0] : undefined
      if (!isDocument(one)) throw new CommandError('BadValue', `explained ${name} must have exactly one statement`)
      const single = name === 'update' ? one.multi !== true : one.limit?.value === 1 || one.limit === 1
      return { search: { filter: parseFilter(one.q ?? {}), limit: single ? 1 : Infinity, hint: hintOf(one.hint) }, kind: 'write' }
    }
    default: throw new CommandError('CommandNotFound', `Explain failed due to unknown command: ${name}`)
  }
}

const explain: Handler = async (command) => {
  const inner = documentField(command, 'explain')
  const [name] = Object.keys(inner)
  const verbosity = command.body.verbosity ?? 'allPlansExecution'
  if (!['queryPlanner', 'executionStats', 'allPlansExecution'].includes(verbosity)) throw new CommandError('BadValue', 'verbosity string must be one of {\'queryPlanner\', \'executionStats\', \'allPlansExecution\'}')
  return await explainOf({ ...command, name: name ?? '', body: inner }, verbosity)
}

async function explainOf (command: Command, verbosity: string): Promise<Doc> {
  const { search, kind } = searchOf(command)
  const namespace = `${command.database}.${collectionName(command)}`
  const collection = command.storage.collection(command.database, collectionName(command))
  const serverInfo = { host: 'localhost', port: 0, version: '7.0.0', gitVersion: 'embedded' }
  if (collection === undefined) {
    const empty = { stage: 'EOF' }
    return {
      explainVersion: '1',
      queryPlanner: { namespace, indexFilterSet: false, parsedQuery: queryOf(search.filter), winningPlan: empty, rejectedPlans: [] },
      ...(verbosity === 'queryPlanner' ? {} : { executionStats: { executionSuccess: true, nReturned: 0, executionTimeMillis: 0, totalKeysExamined: 0, totalDocsExamined: 0, executionStages: { ...empty, nReturned: 0 } } }),
      serverInfo,
      ok: 1
    }
  }
  const started = performance.now()
  let finder: Finder
  let entriesOnly = false
  let n = 0
  if (kind === 'count') ({ n, finder, entriesOnly } = await countMatches(collection, search, command.clock))
  else {
    finder = new Finder(collection, search, command.clock)
    if (verbosity !== 'queryPlanner') while (await finder.next() !== undefined) n++
  }
  const stats = verbosity === 'queryPlanner' ? undefined : { n, keys: finder.scan.examined.keys, docs: finder.scan.examined.docs }
  const stage = stagesOf(command.name, finder, kind, entriesOnly, undefined)
  return {
    explainVersion: '1',
    queryPlanner: { namespace, indexFilterSet: false, parsedQuery: queryOf(search.filter), winningPlan: stage, rejectedPlans: [] },
    ...(stats === undefined
      ? {}
      : {
          executionStats: {
            executionSuccess: true,
            nReturned: new Int32(kind === 'find' ? n : 0),
            executionTimeMillis: new Int32(Math.round(performance.now() - started)),
            totalKeysExamined: integer(stats.keys),
            totalDocsExamined: integer(stats.docs),
            executionStages: stagesOf(command.name, finder, kind, entriesOnly, stats)
          }
        }),
    command: { [command.name]: command.body[command.name], $db: command.database },
    serverInfo,
    ok: 1
  }
}

function stagesOf (name: string, finder: Finder, kind: string, entriesOnly: boolean, stats: { n: number, keys: number, docs: number } | undefined): Doc {
  const { plan, search } = finder
  const counted = (fields: Doc): Doc => stats === undefined ? {} : fields
  let stage: Doc
  const noFilter = search.filter.kind === 'and' && search.filter.parts.length === 0
  const scanOf = (one: typeof plan): Doc => ({
    stage: kind === 'count' && entriesOnly ? 'COUNT_SCAN' : 'IXSCAN',
    keyPattern: one.index!.spec.key,
    indexName: one.index!.name,
    isMultiKey: one.index!.multikey,
    multiKeyPaths: Object.fromEntries(one.index!.parts.map((part, i) => [part.path, [...one.index!.arrays[i]!].map((depth) => part.names.slice(0, depth).join('.'))])),
    isUnique: one.index!.unique,
    isSparse: one.index!.sparse,
    isPartial: one.index!.partial !== undefined,
    indexVersion: 2,
    direction: one.reverse ? 'backward' : 'forward',
    indexBounds: Object.fromEntries(one.index!.parts.map((part, i) => [part.path, one.bounds[i]!.map((interval) => showInterval(interval, part.direction))]))
  })
  if (plan.branches !== undefined) {
    const inputStages = plan.branches.map((branch, i) => ({ ...scanOf(branch), ...counted({ keysExamined: integer(finder.scan.parts[i]!.examined.keys) }) }))
    stage = { stage: 'FETCH', ...counted({ docsExamined: integer(stats?.docs ?? 0) }), inputStage: { stage: 'OR', inputStages } }
  } else if (plan.index === null) {
    if (entriesOnly) return { stage: 'RECORD_STORE_FAST_COUNT', ...counted({ nReturned: 0 }) }
    stage = { stage: 'COLLSCAN', ...(noFilter ? {} : { filter: {} }), direction: plan.reverse ? 'backward' : 'forward', ...counted({ docsExamined: integer(stats?.docs ?? 0) }) }
  } else {
    const scan = { ...scanOf(plan), ...counted({ keysExamined: integer(stats?.keys ?? 0) }) }
    stage = kind === 'count' && entriesOnly
      ? scan
      : { stage: 'FETCH', ...(plan.exact ? {} : { filter: {} }), ...counted({ docsExamined: integer(stats?.docs ?? 0) }), inputStage: plan.merge ? { stage: 'SORT_MERGE', inputStages: [scan] } : scan }
  }
  const wrap = (outer: Doc): void => { stage = { ...outer, ...counted({ nReturned: integer(stats?.n ?? 0) }), inputStage: stage } }
  if (!plan.sorted) wrap({ stage: 'SORT', sortPattern: Object.fromEntries(search.sort!.map((part) => [part.path, part.direction])), memLimit: 104857600, type: 'simple' })
  if ((search.skip ?? 0) > 0) wrap({ stage: 'SKIP', skipAmount: integer(search.skip!) })
  if (kind === 'find' && Number.isFinite(search.limit ?? Infinity) && plan.sorted) wrap({ stage: 'LIMIT', limitAmount: integer(search.limit!) })
  if (search.project !== undefined) wrap({ stage: 'PROJECTION_DEFAULT' })
  if (kind === 'count') wrap({ stage: 'COUNT' })
  if (kind === 'write') wrap({ stage: name === 'delete' ? 'DELETE' : 'UPDATE' })
  if (stats !== undefined && stage.nReturned === undefined) stage = { stage: stage.stage, nReturned: integer(stats.n), ...stage }
  return stage
}

export const readCommands: Record<string, Handler> = { find, getMore, killCursors, count, distinct, aggregate, explain }
