import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { parseFilter } from '../query/filter.ts'
import { searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import { arrayOption, collectionName } from './command.ts'
import type { Handler } from './command.ts'
import { listReply } from './cursors.ts'
import { countIn, hintOf } from './read.ts'

/** The stages with which drivers count documents, in their order; $group ends them. */
const stageOrder = ['$match', '$skip', '$limit', '$group']

/** Other stages of MongoDB 7.0. */
const unsupportedStages = new Set([
  '$addFields', '$bucket', '$bucketAuto', '$changeStream', '$collStats', '$count', '$currentOp', '$densify',
  '$documents', '$facet', '$fill', '$geoNear', '$graphLookup', '$indexStats', '$lookup', '$merge', '$out',
  '$planCacheStats', '$project', '$redact', '$replaceRoot', '$replaceWith', '$sample', '$search', '$set',
  '$setWindowFields', '$sort', '$sortByCount', '$unionWith', '$unset', '$unwind', '$vectorSearch'
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
  const number = toNumber(value)
  if (number === undefined || !Number.isInteger(number)) {
    throw new CommandError(number === undefined ? 2107201 : 5107201,
      `invalid argument to ${name} stage: Expected an integer: ${name}: ${String(number ?? value)}`)
  }
  if (number < 0) {
    throw new CommandError(5107200,
      `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${number}`)
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

function parsePipeline (stages: Value[], hint: Value): { search: Search, group: Doc } {
  const search = searchOf({ filter: parseFilter({}), hint: hintOf(hint) })
  let group: Doc | undefined
  let last = -1
  for (const [name, spec] of stages.map(stageOf)) {
    const place = stageOrder.indexOf(name)
    if (place <= last) throw notSupported(`${name} at this place`)
    last = place
    if (name === '$match') search.filter = parseFilter(stageDocument(name, 15959, spec))
    else if (name === '$skip') search.skip = stageNumber(name, spec)
    else if (name === '$limit') search.limit = stageNumber(name, spec)
    else group = stageDocument(name, 15947, spec)
  }
  if (group === undefined) throw notSupported('a pipeline that does not count')
  return { search, group }
}

const aggregate: Handler = async (command) => {
  const { body, database } = command
  if (typeof body.aggregate !== 'string') throw notSupported('an aggregate without a collection')
  const { search, group } = parsePipeline(arrayOption(command, 'pipeline'), body.hint)
  const field = countField(group)
  if (body.cursor === undefined) {
    throw new CommandError('FailedToParse',
      "The 'cursor' option is required, except for aggregate with the explain argument")
  }
  const n = await countIn(command, search)
  const docs = n === 0 ? [] : [{ _id: group._id, [field]: n }]
  return listReply(command, `${database}.${collectionName(command)}`, docs)
}

export const aggregateCommands: Record<string, Handler> = { aggregate }
