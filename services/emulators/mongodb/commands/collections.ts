import { compare, keyParts } from '../bson/keys.ts'
import { isDocument, showValue, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import { matches, parseFilter } from '../query/filter.ts'
import type { Collection } from '../storage/collection.ts'
import { Index, describeIndex } from '../storage/indexes.ts'
import type { IndexSpec } from '../storage/indexes.ts'
import {
  arrayOption, collectionName, documentOption, findCollection, makeCollection, missingField, wrongType
} from './command.ts'
import type { Command, Handler } from './command.ts'
import { listReply } from './cursors.ts'

const dropDatabase: Handler = ({ database, storage, cursors }) => {
  const existed = storage.databases.some(({ name }) => name === database)
  storage.drop(database)
  cursors.drop(database)
  return { ...(existed && { dropped: database }), ok: 1 }
}

const listCollections: Handler = (command) => {
  const { body, database, storage } = command
  const filter = parseFilter(documentOption(command, 'filter'))
  const collections = [...storage.database(database)?.collections.values() ?? []]
  const docs = collections.sort((a, b) => a.name < b.name ? -1 : 1).map(({ name, uuid, indexes }): Doc => ({
    name,
    type: 'collection',
    ...(body.nameOnly !== true && {
      options: {}, info: { readOnly: false, uuid }, idIndex: describeIndex(indexes[0]!)
    })
  }))
  return listReply(command, `${database}.$cmd.listCollections`, docs.filter((doc) => matches(filter, doc)))
}

function existingCollection (command: Command): Collection {
  const collection = findCollection(command)
  if (collection !== undefined) return collection
  throw new CommandError('NamespaceNotFound',
    `ns does not exist: ${command.database}.${collectionName(command)}`)
}

const listIndexes: Handler = (command) => {
  const collection = existingCollection(command)
  return listReply(command, collection.namespace, collection.indexes.map(describeIndex))
}

const indexOptions = new Set(['key', 'name', 'unique', 'expireAfterSeconds'])
const unsupportedIndexOptions = new Set([
  'v', 'background', 'sparse', 'partialFilterExpression', 'hidden', 'collation', 'wildcardProjection',
  'weights', 'storageEngine'
])
const unsupportedKinds = ['text', '2d', '2dsphere', 'hashed']
const maxParts = 32
const maxSeconds = 0x7fffffff

const cannotCreate = (reason: string): CommandError => new CommandError('CannotCreateIndex', reason)
const isDirection = (value: Value): boolean => [1, -1].includes(toNumber(value) ?? 0)

function checkKey (key: Doc): void {
  const parts = Object.entries(key)
  if (parts.length === 0) throw cannotCreate('Index keys cannot be empty.')
  if (parts.length > maxParts) throw cannotCreate(`an index has at most ${maxParts} fields`)
  for (const [path, value] of parts) {
    if (unsupportedKinds.includes(String(value)) || path.includes('$**')) {
      throw notSupported(`an index of this kind on ${path}`)
    }
    if (!isDirection(value)) throw cannotCreate(`The direction of ${path} must be 1 or -1`)
    if (path.split('.').some((name) => name === '' || name[0] === '$')) {
      throw cannotCreate(`Index key contains an illegal field name: ${path}`)
    }
  }
}

function ttlSeconds (value: Value, key: Doc): number | undefined {
  if (value === undefined) return undefined
  const seconds = toNumber(value)
  if (seconds === undefined) {
    throw new CommandError('TypeMismatch', "TTL index 'expireAfterSeconds' option must be numeric")
  }
  if (!(seconds >= 0 && seconds <= maxSeconds)) {
    throw cannotCreate(`TTL index 'expireAfterSeconds' option must be from 0 to ${maxSeconds}`)
  }
  if (Object.keys(key).length === 1 && !Object.hasOwn(key, '_id')) return Math.trunc(seconds)
  throw cannotCreate('TTL indexes are single-field indexes of other fields than _id')
}

function parseIndex (given: Value): IndexSpec {
  if (!isDocument(given)) throw wrongType('createIndexes', 'indexes', given, 'object')
  for (const option of Object.keys(given)) {
    if (unsupportedIndexOptions.has(option)) throw notSupported(`the index option ${option}`)
    if (indexOptions.has(option)) continue
    throw new CommandError('InvalidIndexSpecificationOption',
      `The field '${option}' is not valid for an index specification`)
  }
  const { key, name, unique, expireAfterSeconds } = given
  if (!isDocument(key) || typeof name !== 'string' || name === '') {
    throw new CommandError('FailedToParse', 'An index specification must have the fields key and name')
  }
  checkKey(key)
  if (unique !== undefined && typeof unique !== 'boolean') {
    throw wrongType('createIndexes', 'indexes.unique', unique, 'bool')
  }
  return { name, parts: keyParts(key), unique: unique === true, seconds: ttlSeconds(expireAfterSeconds, key) }
}

/** Whether a collection has an index already. Throws for one of its name or its key that differs. */
function hasIndex (collection: Collection, spec: IndexSpec): boolean {
  const wanted = describeIndex(new Index(-1, spec))
  for (const index of collection.indexes) {
    const existing = describeIndex(index)
    const sameKey = compare(existing.key, wanted.key) === 0
    const sameName = index.name === spec.name
    if (!sameKey && !sameName) continue
    if ((sameKey && index.isId) || compare(existing, wanted) === 0) return true
    if (!sameKey) {
      throw new CommandError('IndexKeySpecsConflict',
        `An existing index has the same name as the requested index: ${spec.name}`)
    }
    throw new CommandError('IndexOptionsConflict', compare({ ...existing, name: spec.name }, wanted) === 0
      ? `Index already exists with a different name: ${index.name}`
      : `An equivalent index already exists with different options: ${index.name}`)
  }
  return false
}

const createIndexes: Handler = (command) => {
  const specs = arrayOption(command, 'indexes').map(parseIndex)
  if (specs.length === 0) throw new CommandError('BadValue', 'Must specify at least one index to create')
  const createdCollectionAutomatically = findCollection(command) === undefined
  const collection = makeCollection(command)
  const before = collection.indexes.length
  collection.database.write()
  collection.database.atomic(() => {
    for (const spec of specs) if (!hasIndex(collection, spec)) collection.createIndex(spec)
  })
  const after = collection.indexes.length
  return {
    numIndexesBefore: before,
    numIndexesAfter: after,
    createdCollectionAutomatically,
    ...(after === before && { note: 'all indexes already exist' }),
    ok: 1
  }
}

/** Drops an index by its name or its key, or all but that of `_id` for `*`. */
const dropIndexes: Handler = (command) => {
  const collection = existingCollection(command)
  const { index: asked } = command.body
  if (asked === undefined) throw missingField(command.name, 'index')
  if (typeof asked !== 'string' && !isDocument(asked)) throw notSupported('a list of indexes to drop')
  const before = collection.indexes
  const isAsked = ({ name, pattern }: Index): boolean =>
    asked === '*' || (typeof asked === 'string' ? name === asked : compare(pattern, asked) === 0)
  const found = before.filter(isAsked)
  if (asked !== '*') {
    if (found.length === 0) throw new CommandError('IndexNotFound', `index not found: ${showValue(asked)}`)
    if (found[0]!.isId) throw new CommandError('InvalidOptions', 'cannot drop _id index')
  }
  for (const index of found) if (!index.isId) collection.dropIndex(index)
  return { nIndexesWas: before.length, ok: 1 }
}

export const collectionCommands: Record<string, Handler> = {
  dropDatabase, listCollections, listIndexes, createIndexes, dropIndexes
}
