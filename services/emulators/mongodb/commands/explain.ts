import { Int32 } from 'bson'
import { integer, isDocument, setField, toNumber } from '../bson/values.ts'
import type { Doc } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import { showInterval } from '../query/bounds.ts'
import { describeFilter, parseFilter } from '../query/filter.ts'
import { Finder, searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import type { Plan } from '../query/planner.ts'
import type { Index } from '../storage/indexes.ts'
import { parsePipeline } from './aggregate.ts'
import { collectionName, documentOption, findCollection } from './command.ts'
import type { Command, Handler } from './command.ts'
import { countSearch, distinctSearch, findSearch, hintOf } from './read.ts'

/** The search of a command to be explained. */
function explainedSearch (command: Command): Search {
  const { name, body } = command
  switch (name) {
    case 'find': return findSearch(command)
    case 'count': return countSearch(command)
    case 'distinct': return distinctSearch(command)
    case 'aggregate': return parsePipeline(command).search
    case 'update':
    case 'delete': {
      const list = body[`${name}s`]
      const statement = Array.isArray(list) ? list[0] : undefined
      if (!isDocument(statement)) {
        throw new CommandError('BadValue', `explained ${name} must have exactly one statement`)
      }
      const isSingle = name === 'update' ? statement.multi !== true : toNumber(statement.limit) === 1
      const filter = parseFilter(isDocument(statement.q) ? statement.q : {})
      return searchOf({ filter, limit: isSingle ? 1 : Infinity, hint: hintOf(statement.hint) })
    }
    default: throw new CommandError('CommandNotFound', `Explain failed due to unknown command: ${name}`)
  }
}

const explain: Handler = async (command) => {
  const inner = documentOption(command, 'explain')
  const verbosity = command.body.verbosity ?? 'allPlansExecution'
  if (!['queryPlanner', 'executionStats', 'allPlansExecution'].includes(String(verbosity))) {
    throw new CommandError('BadValue',
      "verbosity string must be one of {'queryPlanner', 'executionStats', 'allPlansExecution'}")
  }
  const explained = { ...command, name: Object.keys(inner)[0] ?? '', body: inner }
  const search = explainedSearch(explained)
  const collection = findCollection(explained)
  const finder = collection === undefined ? undefined : new Finder(collection, search, command.clock)
  const namespace = `${command.database}.${collectionName(explained)}`
  return {
    explainVersion: '1',
    queryPlanner: {
      namespace,
      indexFilterSet: false,
      parsedQuery: describeFilter(search.filter),
      winningPlan: finder === undefined ? { stage: 'EOF' } : stagesOf(finder),
      rejectedPlans: []
    },
    ...(verbosity === 'queryPlanner' ? {} : { executionStats: await execute(finder) }),
    command: { [explained.name]: inner[explained.name], $db: command.database },
    serverInfo: { host: 'localhost', port: new Int32(0), version: '7.0.0', gitVersion: 'embedded' },
    ok: new Int32(1)
  }
}

async function execute (finder: Finder | undefined): Promise<Doc> {
  const started = performance.now()
  let n = 0
  while (await finder?.next() !== undefined) n++
  const { keys, docs } = finder?.scan.examined ?? { keys: 0, docs: 0 }
  return {
    executionSuccess: true,
    nReturned: integer(n),
    executionTimeMillis: integer(Math.round(performance.now() - started)),
    totalKeysExamined: integer(keys),
    totalDocsExamined: integer(docs)
  }
}

/** The stages of a plan, the outermost first. */
function stagesOf ({ plan, search }: Finder): Doc {
  const { index, exact, reverse, sorted } = plan
  const filter = exact ? {} : { filter: describeFilter(search.filter) }
  let stage: Doc = index === null
    ? { stage: 'COLLSCAN', ...filter, direction: reverse ? 'backward' : 'forward' }
    : { stage: 'FETCH', ...filter, inputStage: indexScan(index, plan) }
  const wrap = (outer: Doc): void => { stage = { ...outer, inputStage: stage } }
  if (!sorted) {
    const sortPattern: Doc = {}
    for (const { path, direction } of search.sort) setField(sortPattern, path, new Int32(direction))
    wrap({ stage: 'SORT', sortPattern })
  }
  if (search.skip > 0) wrap({ stage: 'SKIP', skipAmount: integer(search.skip) })
  if (search.limit < Infinity && sorted) wrap({ stage: 'LIMIT', limitAmount: integer(search.limit) })
  if (search.project !== undefined) wrap({ stage: 'PROJECTION_DEFAULT' })
  return stage
}

function indexScan (index: Index, { bounds, reverse }: Plan): Doc {
  const indexBounds: Doc = {}
  for (const [i, { path, direction }] of index.parts.entries()) {
    setField(indexBounds, path, bounds[i]!.map((interval) => showInterval(interval, direction)))
  }
  return {
    stage: 'IXSCAN',
    keyPattern: index.pattern,
    indexName: index.name,
    isMultiKey: index.multikey,
    isUnique: index.unique,
    isSparse: false,
    isPartial: false,
    indexVersion: new Int32(2),
    direction: reverse ? 'backward' : 'forward',
    indexBounds
  }
}

export const explainCommands: Record<string, Handler> = { explain }
