import { Int32 } from 'bson'
import { keyParts } from '../bson/document-keys.ts'
import { decode, encode } from '../bson/encoding.ts'
import { keyOf } from '../bson/keys.ts'
import { integer, isDocument, namesOf, toNumber, typeName, valuesAt } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { parseFilter } from '../query/filter.ts'
import { Finder, countMatches, searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import { compileProjection } from '../query/projection.ts'
import { finderSource, firstBatch, listSource } from './batches.ts'
import { collectionName, countOption, documentOption, findCollection, wrongType } from './command.ts'
import type { Command, Handler } from './command.ts'

/** The size of a first batch for which the client asks nothing. */
export const defaultBatch = 101

/** Throws for a sort other than by fields, each ascending (1) or descending (-1). */
export function checkSort (spec: Doc): Doc {
  for (const path of namesOf(spec)) {
    const value = spec[path]
    const direction = toNumber(value)
    if (isDocument(value) && value.$meta !== undefined) throw notSupported('$meta')
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

const limitOf = (limit: number | undefined): number => limit || Infinity

export function findSearch (command: Command): Search {
  const sort = documentOption(command, 'sort')
  const isNatural = Object.hasOwn(sort, '$natural')
  const { body } = command
  const single = body.singleBatch === true ? countOption(command, 'batchSize') : undefined
  return {
    filter: parseFilter(documentOption(command, 'filter')),
    sort: isNatural ? [] : keyParts(checkSort(sort)),
    hint: hintOf(isNatural ? sort : body.hint),
    skip: countOption(command, 'skip') ?? 0,
    limit: limitOf(countOption(command, 'limit') || single),
    project: compileProjection(documentOption(command, 'projection'))
  }
}

const find: Handler = (command) => {
  const search = findSearch(command)
  const size = countOption(command, 'batchSize') ?? Math.min(search.limit, defaultBatch)
  const collection = findCollection(command)
  const source = collection === undefined
    ? listSource([])
    : finderSource(new Finder(collection, search, command.clock))
  return firstBatch(command, `${command.database}.${collectionName(command)}`, source, size)
}

export function countSearch (command: Command): Search {
  const { limit } = command.body
  const number = toNumber(limit)
  return searchOf({
    filter: parseFilter(documentOption(command, 'query')),
    skip: countOption(command, 'skip') ?? 0,
    // a negative limit counts as a positive one
    limit: limitOf(number === undefined ? countOption(command, 'limit') : Math.abs(Math.trunc(number))),
    hint: hintOf(command.body.hint)
  })
}

const count: Handler = async (command) => {
  const search = countSearch(command)
  const collection = findCollection(command)
  const n = collection === undefined ? 0 : await countMatches(collection, search, command.clock)
  return { n: integer(n), ok: new Int32(1) }
}

const maxDistinct = 16 * 1024 * 1024

export function distinctSearch (command: Command): Search {
  const { body } = command
  return searchOf({ filter: parseFilter(documentOption(command, 'query')), hint: hintOf(body.hint) })
}

const distinct: Handler = async (command) => {
  const search = distinctSearch(command)
  const { key } = command.body
  if (typeof key !== 'string') throw wrongType('distinct', 'key', key, 'string')
  const collection = findCollection(command)
  const values = new Map<string, Value>()
  let held = 0
  const finder = collection === undefined ? undefined : new Finder(collection, search, command.clock)
  for (let found = await finder?.next(); found !== undefined; found = await finder?.next()) {
    for (const value of valuesAt(found.doc ?? decode(found.bytes), key.split('.'))) {
      const bytes = keyOf(value).toString('latin1')
      if (!values.has(bytes)) held += bytes.length
      values.set(bytes, values.get(bytes) ?? value)
    }
    if (held > maxDistinct) throw new CommandError(17217, 'distinct too big, 16mb cap')
  }
  const ordered = [...values.values()].sort((a, b) => Number(b === null) - Number(a === null))
  return encode({ values: ordered, ok: new Int32(1) })
}

export const readCommands: Record<string, Handler> = { find, count, distinct }
