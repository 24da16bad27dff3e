import { Int32, Long } from 'bson'
import { handshake } from '../access/authentication.ts'
import type { Doc, Value } from '../bson/bson.ts'
import { expand, integer, isDocument, namesOf, setField, toNumber } from '../bson/bson.ts'
import type { Command, Handler } from './context.ts'
import { arrayField, collectionName, documentField, makeCollection, refuseCollation, sessionId } from './context.ts'
import { CommandError } from '../errors.ts'
import { checkFields } from './fields.ts'
import { matches, parseFilter, typeName } from '../query/filter.ts'
import { compare } from '../bson/keys.ts'
import { listReply } from './read.ts'
import { rightsOn } from '../access/roles.ts'
import type { Collection, Index } from '../storage/storage.ts'

/** What is told of the server: its limits are those of MongoDB 7.0. */
const hello: Handler = (command) => ({
  helloOk: true,
  [command.name === 'hello' ? 'isWritablePrimary' : 'ismaster']: true,
  maxBsonObjectSize: new Int32(16 * 1024 * 1024),
  maxMessageSizeBytes: new Int32(48000000),
  maxWriteBatchSize: new Int32(100000),
  localTime: new Date(),
  logicalSessionTimeoutMinutes: new Int32(30),
  connectionId: new Int32(command.client.connectionId),
  minWireVersion: new Int32(0),
  maxWireVersion: new Int32(21),
  readOnly: false,
  ...handshake(command),
  ok: 1
})

const ping: Handler = () => ({ ok: 1 })

const buildInfo: Handler = () => ({
  version: '7.0.0',
  gitVersion: 'embedded',
  modules: [],
  storageEngines: ['sqlite'],
  versionArray: [7, 0, 0, 0].map((n) => new Int32(n)),
  bits: new Int32(64),
  debug: false,
  maxBsonObjectSize: new Int32(16 * 1024 * 1024),
  ok: 1
})

const onlyAdmin = ({ name, database }: Command): void => {
  if (database !== 'admin') throw new CommandError('Unauthorized', `${name} may only be run against the admin database.`)
}

const existing = (command: Command, message = 'ns not found'): Collection => {
  const name = collectionName(command)
  const collection = command.storage.collection(command.database, name)
  if (collection === undefined) throw new CommandError('NamespaceNotFound', `${message} ${command.database}.${name}`)
  return collection
}

const refusedOptions = [
  'capped', 'timeseries', 'viewOn', 'pipeline', 'clusteredIndex', 'encryptedFields', 'size', 'max', 'storageEngine',
  'indexOptionDefaults', 'expireAfterSeconds', 'changeStreamPreAndPostImages', 'idIndex', 'autoIndexId'
]

const create: Handler = (command) => {
  const { body, database, storage } = command
  const name = collectionName(command)
  if (name.startsWith('system.')) throw new CommandError('InvalidNamespace', `cannot write to '${database}.${name}'`)
  for (const option of refusedOptions) {
    if (body[option] !== undefined && body[option] !== false) throw new CommandError('InvalidOptions', `the option ${option} is not supported by this database`)
  }
  refuseCollation(body.collation)
  const options: Doc = {}
  for (const option of ['validator', 'validationLevel', 'validationAction']) if (body[option] !== undefined) options[option] = body[option]
  if (options.validator !== undefined) parseFilter(options.validator)
  const known = storage.collection(database, name)
  if (known === undefined) storage.create(database).createCollection(name, options)
  else if (compare(known.options, options) !== 0) throw new CommandError('NamespaceExists', `namespace ${database}.${name} already exists, but with different options: ${JSON.stringify({ uuid: known.uuid.toHexString(), ...known.options })}`)
  return { ok: 1 }
}

const drop: Handler = (command) => {
  const name = collectionName(command)
  const collection = command.storage.collection(command.database, name)
  if (collection === undefined) return { ok: 1 }
  const nIndexesWas = new Int32(collection.indexes.length)
  collection.database.dropCollection(collection)
  command.cursors.drop(command.database, name)
  return { nIndexesWas, ns: collection.namespace, ok: 1 }
}

const dropDatabase: Handler = ({ database, storage, cursors }) => {
  const existed = storage.databases.some(({ name }) => name === database)
  storage.drop(database)
  cursors.drop(database)
  return { ...(existed ? { dropped: database } : {}), ok: 1 }
}

const listCollections: Handler = (command) => {
  const { body, database, storage } = command
  const filter = parseFilter(documentField(command, 'filter'))
  const collections = [...storage.database(database)?.collections.values() ?? []].sort((a, b) => a.name < b.name ? -1 : 1)
  const docs = collections.map((collection) => ({
    name: collection.name,
    type: 'collection',
    ...(body.nameOnly === true
      ? {}
      : {
          options: collection.options,
          info: { readOnly: false, uuid: collection.uuid },
          idIndex: listed(collection.indexes[0]!)
        })
  }))
  return listReply(command, `${database}.$cmd.listCollections`, docs.filter((doc) => matches(filter, doc)))
}

const listDatabases: Handler = (command) => {
  onlyAdmin(command)
  const filter = parseFilter(documentField(command, 'filter'))
  const nameOnly = command.body.nameOnly === true
  const { client, users } = command
  const seen = command.storage.databases.filter(({ name }) => !users.auth || rightsOn(client.user!.rights, name) !== 0)
  const databases = seen.map((database) => ({
    name: database.name, ...(nameOnly ? {} : { sizeOnDisk: integer(database.bytes()), empty: false })
  })).filter((doc) => matches(filter, doc)).sort((a, b) => a.name < b.name ? -1 : 1)
  const total = nameOnly ? 0 : seen.reduce((n, database) => n + database.bytes(), 0)
  return { databases, ...(nameOnly ? {} : { totalSize: integer(total), totalSizeMb: integer(Math.floor(total / 1048576)) }), ok: 1 }
}

const listed = (index: Index): Doc => expand(index.spec)

const listIndexes: Handler = (command) => {
  const name = collectionName(command)
  const collection = command.storage.collection(command.database, name)
  if (collection === undefined) throw new CommandError('NamespaceNotFound', `ns does not exist: ${command.database}.${name}`)
  return listReply(command, collection.namespace, collection.indexes.map(listed))
}

const indexOptions = new Set(['v', 'key', 'name', 'unique', 'sparse', 'expireAfterSeconds', 'partialFilterExpression', 'background', 'hidden', 'ns', 'collation'])

function indexSpec (given: Value): Doc {
  if (!isDocument(given)) throw new CommandError('TypeMismatch', "BSON field 'createIndexes.indexes' is the wrong type, expected type 'object'")
  for (const option of Object.keys(given)) {
    if (!indexOptions.has(option)) throw new CommandError('InvalidIndexSpecificationOption', `Error in specification ${JSON.stringify(Object.keys(given))} :: caused by :: The field '${option}' is not valid for an index specification`)
  }
  refuseCollation(given.collation)
  const { key } = given
  if (!isDocument(key)) throw new CommandError('FailedToParse', "Error in specification :: caused by :: The 'key' field is a required property of an index specification")
  const names = namesOf(key)
  if (names.length === 0) throw new CommandError('CannotCreateIndex', 'Index keys cannot be empty.')
  if (names.length > 32) throw new CommandError('CannotCreateIndex', 'too many fields in compound index: the maximum is 32')
  const pattern: Doc = {}
  for (const path of names) {
    const direction = toNumber(key[path])
    if (typeof key[path] === 'string') {
      if (['text', '2d', '2dsphere', 'hashed', 'wildcard'].includes(key[path])) throw new CommandError('CommandNotSupported', `${key[path]} indexes are not supported by this database`)
      throw new CommandError('CannotCreateIndex', `Unknown index plugin '${key[path]}'`)
    }
    if (direction === undefined || direction === 0 || Number.isNaN(direction)) throw new CommandError('CannotCreateIndex', `Values in v:2 index key pattern cannot be of type ${typeName(key[path])}. Only numbers > 0, numbers < 0, and strings are allowed.`)
    if (path === '' || path.split('.').includes('')) throw new CommandError('CannotCreateIndex', 'Index keys cannot be an empty field.')
    if (path.split('.').some((part) => part[0] === '$')) {
      if (path === '$**' || path.endsWith('.$**')) throw new CommandError('CommandNotSupported', 'wildcard indexes are not supported by this database')
      throw new CommandError('CannotCreateIndex', 'Index key contains an illegal field name: field name starts with \'$\'.')
    }
    setField(pattern, path, direction)
  }
  const name = given.name
  if (typeof name !== 'string') throw new CommandError('FailedToParse', "Error in specification :: caused by :: The 'name' field is a required property of an index specification")
  if (name === '' || name === '*') throw new CommandError(name === '' ? 'CannotCreateIndex' : 'BadValue', name === '' ? 'index name cannot be empty' : "The index name '*' is not valid.")
  const spec: Doc = { v: 2, key: pattern, name }
  for (const option of ['unique', 'sparse', 'hidden']) {
    const value = given[option]
    if (value === undefined) continue
    if (typeof value !== 'boolean' && toNumber(value) === undefined) throw new CommandError('TypeMismatch', `Error in specification :: caused by :: The field '${option}' has value ${String(value)}, which is not convertible to bool`)
    if (value === true || (toNumber(value) ?? 0) !== 0) spec[option] = true
  }
  if (given.expireAfterSeconds !== undefined) {
    const seconds = toNumber(given.expireAfterSeconds)
    if (seconds === undefined) throw new CommandError('TypeMismatch', `TTL index 'expireAfterSeconds' option must be numeric, but received a type of '${typeName(given.expireAfterSeconds)}'.`)
    if (seconds < 0 || seconds > 0x7fffffff) throw new CommandError('CannotCreateIndex', `TTL index 'expireAfterSeconds' option must be within an acceptable range, try a different number than ${seconds}.`)
    if (names.length > 1) throw new CommandError('CannotCreateIndex', 'TTL indexes are single-field indexes, compound indexes do not support TTL.')
    if (names[0] === '_id') throw new CommandError('InvalidIndexSpecificationOption', "The field 'expireAfterSeconds' is not valid for an _id index specification.")
    spec.expireAfterSeconds = seconds
  }
  if (given.partialFilterExpression !== undefined) {
    if (!isDocument(given.partialFilterExpression)) throw new CommandError('TypeMismatch', "The field 'partialFilterExpression' must be an object")
    if (spec.sparse) throw new CommandError('CannotCreateIndex', 'cannot mix "partialFilterExpression" and "sparse" options')
    parseFilter(given.partialFilterExpression)
    spec.partialFilterExpression = given.partialFilterExpression
  }
  return spec
}

const samePattern = (a: Doc, b: Doc): boolean => JSON.stringify(Object.entries(a)) === JSON.stringify(Object.entries(b))

/** The index that a new one equals; undefined if it is new. Throws IndexOptionsConflict, IndexKeySpecsConflict. */
function same (collection: Collection, spec: Doc): Index | undefined {
  for (const index of collection.indexes) {
    const { v: _v, name, key, ...options } = index.spec
    const { v: _w, name: otherName, key: otherKey, ...otherOptions } = spec
    const keys = samePattern(key, otherKey)
    const equal = compare(sorted(options), sorted(otherOptions)) === 0 || index.isId
    const shown = (one: Doc): string => JSON.stringify({ ...one, partialFilterExpression: undefined })
    if (name === otherName) {
      if (keys && equal) return index
      throw keys
        ? new CommandError('IndexOptionsConflict', `An equivalent index already exists with the same name but different options. Requested index: ${shown(spec)}, existing index: ${shown(index.spec)}`)
        : new CommandError('IndexKeySpecsConflict', `An existing index has the same name as the requested index. When index names are not specified, they are auto generated and can cause conflicts. Please refer to our documentation. Requested index: ${shown(spec)}, existing index: ${shown(index.spec)}`)
    }
    if (keys && index.isId) return index
    if (keys && compare(index.spec.partialFilterExpression ?? null, spec.partialFilterExpression ?? null) === 0) {
      throw equal
        ? new CommandError('IndexOptionsConflict', `Index already exists with a different name: ${name}`)
        : new CommandError('IndexOptionsConflict', `An equivalent index already exists with a different name and options. Requested index: ${shown(spec)}, existing index: ${shown(index.spec)}`)
    }
  }
  return undefined
}

const sorted = (options: Doc): Doc => Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'hidden').sort(([a], [b]) => a < b ? -1 : 1))

const createIndexes: Handler = (command) => {
  const name = collectionName(command)
  const given = arrayField(command, 'indexes')
  if (given.length === 0) throw new CommandError('BadValue', 'Must specify at least one index to create')
  const specs = given.map(indexSpec)
  const created = command.storage.collection(command.database, name) === undefined
  const collection = makeCollection(command, name)
  const before = collection.indexes.length
  collection.database.write()
  collection.database.atomic(() => {
    for (const spec of specs) if (same(collection, spec) === undefined) collection.createIndex(spec)
  })
  return {
    numIndexesBefore: new Int32(before),
    numIndexesAfter: new Int32(collection.indexes.length),
    createdCollectionAutomatically: created,
    ...(collection.indexes.length === before ? { note: 'all indexes already exist' } : {}),
    ok: 1
  }
}

const dropIndexes: Handler = (command) => {
  const collection = existing(command)
  const { index } = command.body
  const nIndexesWas = new Int32(collection.indexes.length)
  let dropped: Index[]
  if (index === '*') dropped = collection.indexes.filter(({ isId }) => !isId)
  else {
    const wanted: Value[] = Array.isArray(index) ? index : [index]
    dropped = wanted.map((one) => {
      const found = isDocument(one)
        ? collection.indexes.find(({ spec }) => samePattern(spec.key, Object.fromEntries(Object.entries(one).map(([k, v]) => [k, toNumber(v) ?? v]))))
        : collection.indexes.find(({ name }) => name === one)
      if (found === undefined) {
        throw new CommandError('IndexNotFound', isDocument(one) ? `can't find index with key: ${JSON.stringify(Object.fromEntries(Object.entries(one).map(([k, v]) => [k, toNumber(v) ?? v])))}` : `index not found with name [${String(one)}]`)
      }
      if (found.isId) throw new CommandError('InvalidOptions', 'cannot drop _id index')
      return found
    })
  }
  for (const one of dropped) collection.dropIndex(one)
  return { nIndexesWas, ...(index === '*' ? { msg: 'non-_id indexes dropped for collection' } : {}), ok: 1 }
}

const collMod: Handler = (command) => {
  const collection = existing(command, 'ns does not exist:')
  const { index } = command.body
  if (index === undefined) return { ok: 1 }
  if (!isDocument(index)) throw new CommandError('TypeMismatch', "BSON field 'collMod.index' is the wrong type, expected type 'object'")
  checkFields('collMod.index', index, new Set(['name', 'keyPattern', 'expireAfterSeconds']))
  const found = collection.indexes.find(({ name, spec }) => index.name === undefined ? isDocument(index.keyPattern) && samePattern(spec.key, Object.fromEntries(Object.entries(index.keyPattern).map(([k, v]) => [k, toNumber(v) ?? v]))) : name === index.name)
  if (found === undefined) throw new CommandError('IndexNotFound', `cannot find index ${String(index.name ?? 'of that key pattern')} for ns ${collection.namespace}`)
  const seconds = toNumber(index.expireAfterSeconds)
  if (seconds === undefined) throw new CommandError('InvalidOptions', 'no expireAfterSeconds field')
  collection.describeIndex(found, { ...found.spec, expireAfterSeconds: seconds })
  return { ...(found.expireAfterSeconds === undefined ? {} : { expireAfterSeconds_old: integer(found.expireAfterSeconds) }), expireAfterSeconds_new: integer(seconds), ok: 1 }
}

const endSessions: Handler = (command) => {
  for (const session of arrayField(command, command.name)) {
    const id = sessionId(command.name, session)
    if (id !== undefined) command.cursors.endSession(id, command.client.user?.id)
  }
  return { ok: 1 }
}

const configureFailPoint: Handler = (command) => {
  onlyAdmin(command)
  const { body, failPoints } = command
  return { count: integer(failPoints.configure(body.configureFailPoint, body.mode, body.data)), ok: 1 }
}

/** Of what MongoDB tells there, what shows whether something grows. */
const serverStatus: Handler = ({ cursors }) => ({
  version: '7.0.0',
  process: 'mongod',
  pid: Long.fromNumber(process.pid),
  uptime: process.uptime(),
  localTime: new Date(),
  mem: { resident: new Int32(Math.round(process.memoryUsage.rss() / 2 ** 20)) },
  metrics: { cursor: { open: { total: Long.fromNumber(cursors.size) } } },
  ok: 1
})

export const adminCommands: Record<string, Handler> = {
  hello, isMaster: hello, ismaster: hello, ping, buildInfo, buildinfo: buildInfo, create, drop, dropDatabase, listCollections, listDatabases, listIndexes, createIndexes, dropIndexes, deleteIndexes: dropIndexes, collMod, endSessions, configureFailPoint, serverStatus
}
