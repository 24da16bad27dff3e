import { keyParts } from '../bson/document-keys.ts'
import { encode } from '../bson/encoding.ts'
import { integer, isDocument, setField, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { allOf, parseFilter } from '../query/filter.ts'
import { Finder, countMatches, searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import { compileProjection } from '../query/projection.ts'
import { batchSizeOf, finderSource, firstBatch, listSource } from './batches.ts'
import { arrayOption, collectionName, findCollection } from './command.ts'
import type { Command, Handler } from './command.ts'
import { checkSort, defaultBatch, hintOf } from './read.ts'

/*
 * Pipelines are searches: any number of $match, then $sort, $skip, $limit and one of $project, $count or the
 * $group that counts, each at most once and in this order. Others are refused.
 */
const stageOrder = ['$match', '$sort', '$skip', '$limit', '$project', '$count', '$group']

/** Stages of MongoDB 7.0 that this database does not have. */
const unsupportedStages = new Set([
  '$addFields', '$bucket', '$bucketAuto', '$changeStream', '$collStats', '$currentOp', '$densify',
  '$documents', '$facet', '$fill', '$geoNear', '$graphLookup', '$indexStats', '$lookup', '$merge', '$out',
  '$planCacheStats', '$redact', '$replaceRoot', '$replaceWith', '$sample', '$search', '$set',
  '$setWindowFields', '$sortByCount', '$unionWith', '$unset', '$unwind', '$vectorSearch'
])

export interface Pipeline {
  search: Search
  /** The document with the count of what the search finds, for a pipeline that counts. */
  counted: ((n: number) => Doc) | undefined
}

function stageOf (stage: Value): [name: string, spec: Value] {
  const names = isDocument(stage) ? Object.keys(stage) : []
  if (!isDocument(stage) || names.length !== 1) {
    throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.')
  }
  const [name] = names as [string]
  if (unsupportedStages.has(name)) throw notSupported(name)
  if (!stageOrder.includes(name)) throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`)
  return [name, stage[name]]
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

/** The name of the field in which $count or the $group that drivers count with answers. */
function countedBy (name: string, spec: Value): (n: number) => Doc {
  const out = (field: string, id: Doc) => (n: number): Doc => {
    const doc = { ...id }
    setField(doc, field, integer(n))
    return doc
  }
  if (name === '$count') {
    if (typeof spec !== 'string' || spec === '') {
      throw new CommandError(40156, 'the count field must be a non-empty string')
    }
    if (/[.$]/.test(spec)) throw new CommandError(40160, "the count field cannot contain '.' or '$'")
    return out(spec, {})
  }
  const group = stageDocument('$group', 15947, spec)
  if (!Object.hasOwn(group, '_id')) throw new CommandError(15955, 'a group specification must include an _id')
  const [field = '', ...others] = Object.keys(group).filter((key) => key !== '_id')
  const { _id } = group
  const sum = group[field]
  const counts = isDocument(sum) && Object.keys(sum).length === 1 && toNumber(sum.$sum) === 1
  if (!counts || others.length > 0 || isDocument(_id) || typeof _id === 'string') {
    throw notSupported('a $group other than one that counts all documents')
  }
  return out(field, { _id })
}

export function parsePipeline (command: Command): Pipeline {
  const search = searchOf({ filter: { kind: 'and', parts: [] }, hint: hintOf(command.body.hint) })
  let counted: Pipeline['counted']
  let last = -1
  for (const [name, spec] of arrayOption(command, 'pipeline').map(stageOf)) {
    const place = stageOrder.indexOf(name)
    if (place < last || (place === last && name !== '$match')) throw notSupported(`${name} at this place`)
    last = place
    switch (name) {
      case '$match':
        search.filter = allOf([search.filter, parseFilter(stageDocument(name, 15959, spec))])
        break
      case '$sort':
        search.sort = keyParts(checkSort(stageDocument(name, 15973, spec)))
        break
      case '$skip':
        search.skip = stageNumber(name, spec)
        break
      case '$limit':
        search.limit = stageNumber(name, spec)
        break
      case '$project':
        search.project = compileProjection(stageDocument(name, 15969, spec))
        break
      default: counted = countedBy(name, spec)
    }
  }
  return { search, counted }
}

const aggregate: Handler = async (command) => {
  const { body, clock, database } = command
  if (typeof body.aggregate !== 'string') throw notSupported('an aggregate without a collection')
  const { search, counted } = parsePipeline(command)
  if (!isDocument(body.cursor)) {
    throw new CommandError('FailedToParse',
      "The 'cursor' option is required, except for aggregate with the explain argument")
  }
  const collection = findCollection(command)
  const namespace = `${database}.${collectionName(command)}`
  const size = batchSizeOf(command, defaultBatch)
  if (collection === undefined) return await firstBatch(command, namespace, listSource([]), size)
  if (counted === undefined) {
    return await firstBatch(command, namespace, finderSource(new Finder(collection, search, clock)), size)
  }
  const n = await countMatches(collection, search, clock)
  return await firstBatch(command, namespace, listSource(n === 0 ? [] : [encode(counted(n))]), size)
}

export const aggregateCommands: Record<string, Handler> = { aggregate }
