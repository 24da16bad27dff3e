import { keyParts } from '../bson/document-keys.ts'
import { isDocument, toNumber, typeName } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { parseFilter } from '../query/filter.ts'
import { Finder, countMatches, searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import { compileProjection } from '../query/projection.ts'
import { collectionName, countOption, documentOption, findCollection } from './command.ts'
import type { Command, Handler } from './command.ts'
import { firstBatch } from './cursors.ts'

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

export function findSearch (command: Command): Search {
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
export async function countIn (command: Command, search: Search): Promise<number> {
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

export const readCommands: Record<string, Handler> = { find, count }
