import type { Doc } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { Finder } from '../query/finder.ts'
import { collectionName, documentOption, findCollection } from './command.ts'
import type { Handler } from './command.ts'
import { checkOptions } from './options.ts'
import { findSearch } from './read.ts'

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

export const explainCommands: Record<string, Handler> = { explain }
