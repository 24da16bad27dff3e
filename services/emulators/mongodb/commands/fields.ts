import type { Doc, Value } from '../bson/bson.ts'
import { isDocument, toNumber } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'

/** What every command may carry besides its own fields. */
const general = new Set([
  '$db', '$readPreference', '$clusterTime', 'lsid', 'txnNumber', 'comment', 'maxTimeMS', 'readConcern', 'writeConcern',
  'apiVersion', 'apiStrict', 'apiDeprecationErrors'
])

const write = ['ordered', 'bypassDocumentValidation', 'let']
const findAndModify = [
  'query', 'sort', 'remove', 'update', 'new', 'fields', 'upsert', 'bypassDocumentValidation', 'collation', 'arrayFilters',
  'hint', 'let'
]

/** The fields of each command; those that say nothing here take none but their own name. */
const table: Record<string, string[]> = {
  find: [
    'filter', 'projection', 'sort', 'hint', 'skip', 'limit', 'batchSize', 'singleBatch', 'allowDiskUse', 'min', 'max',
    'returnKey', 'showRecordId', 'tailable', 'awaitData', 'noCursorTimeout', 'allowPartialResults', 'collation', 'let'
  ],
  getMore: ['collection', 'batchSize'],
  killCursors: ['cursors'],
  count: ['query', 'limit', 'skip', 'hint', 'collation', 'fields'],
  distinct: ['key', 'query', 'collation', 'hint'],
  aggregate: [
    'pipeline', 'cursor', 'explain', 'allowDiskUse', 'bypassDocumentValidation', 'collation', 'hint', 'let'
  ],
  explain: ['verbosity'],
  insert: ['documents', ...write],
  update: ['updates', ...write],
  delete: ['deletes', ...write],
  findAndModify,
  findandmodify: findAndModify,
  create: [
    'capped', 'timeseries', 'viewOn', 'pipeline', 'clusteredIndex', 'encryptedFields', 'collation', 'validator',
    'validationLevel', 'validationAction', 'size', 'max', 'storageEngine', 'indexOptionDefaults', 'expireAfterSeconds',
    'changeStreamPreAndPostImages', 'idIndex', 'autoIndexId'
  ],
  listCollections: ['filter', 'nameOnly', 'cursor', 'authorizedCollections'],
  listDatabases: ['filter', 'nameOnly', 'authorizedDatabases'],
  listIndexes: ['cursor'],
  createIndexes: ['indexes', 'commitQuorum'],
  dropIndexes: ['index'],
  deleteIndexes: ['index'],
  collMod: ['index'],
  configureFailPoint: ['mode', 'data'],
  createUser: ['pwd', 'roles', 'digestPassword', 'mechanisms', 'customData', 'authenticationRestrictions'],
  updateUser: ['pwd', 'roles', 'digestPassword', 'mechanisms', 'customData', 'authenticationRestrictions'],
  usersInfo: ['showCredentials', 'showPrivileges', 'filter', 'showCustomData', 'showAuthenticationRestrictions'],
  connectionStatus: ['showPrivileges'],
  saslStart: ['mechanism', 'payload', 'options', 'autoAuthorize', 'db'],
  saslContinue: ['conversationId', 'payload']
}

/** Handshakes take whatever a client says about itself, as mongod's do. */
const open = new Set(['hello', 'isMaster', 'ismaster', 'serverStatus'])

/** The fields of one statement of a write command. */
export const statementFields = {
  update: new Set(['q', 'u', 'multi', 'upsert', 'collation', 'arrayFilters', 'hint', 'c']),
  delete: new Set(['q', 'limit', 'collation', 'hint'])
}

/** Throws 40415 for a field that is not known. */
export function checkFields (where: string, doc: Doc, known: Set<string>): void {
  for (const name of Object.keys(doc)) {
    if (!known.has(name)) throw new CommandError(40415, `BSON field '${where}.${name}' is an unknown field.`)
  }
}

const known = new Map(Object.entries(table).map(([name, fields]) => [name, new Set([name, ...fields, ...general])]))

const notSupported = (what: string): CommandError =>
  new CommandError('CommandNotSupported', `${what} is not supported by this database`)

/** Throws for what a command may not carry, be it unknown or not supported here. */
export function checkCommand (name: string, body: Doc): void {
  if (!open.has(name)) checkFields(name, body, known.get(name) ?? new Set([name, ...general]))
  checkApi(body)
  checkReadConcern(body.readConcern)
  checkWriteConcern(body.writeConcern)
  if (isDocument(body.let) && Object.keys(body.let).length > 0) throw notSupported('let')
  if (body.txnNumber !== undefined) {
    throw new CommandError('IllegalOperation', 'Transaction numbers are only allowed on a replica set member or mongos')
  }
  const { maxTimeMS } = body
  if (maxTimeMS === undefined) return
  const time = toNumber(maxTimeMS)
  if (time === undefined) throw new CommandError('TypeMismatch', 'maxTimeMS must be a number')
  if (!Number.isInteger(time) || time < 0 || time > 0x7fffffff) {
    throw new CommandError('BadValue', `${time} value for maxTimeMS is out of range [0, 2147483647]`)
  }
}

function checkApi ({ apiVersion, apiStrict, apiDeprecationErrors }: Doc): void {
  if (apiVersion === undefined) {
    if (apiStrict === undefined && apiDeprecationErrors === undefined) return
    throw new CommandError('APIVersionError', 'Provided apiStrict and/or apiDeprecationErrors without passing apiVersion')
  }
  if (apiVersion !== '1') {
    throw new CommandError('APIVersionError', `Provided apiVersion:${String(apiVersion)} is not supported`)
  }
  if (apiStrict === true) throw notSupported('apiStrict')
}

function checkReadConcern (concern: Value): void {
  if (concern === undefined) return
  if (!isDocument(concern)) throw new CommandError('TypeMismatch', 'readConcern must be an object')
  checkFields('readConcern', concern, new Set(['level', 'provenance']))
  const { level } = concern
  if (level === undefined || ['local', 'available', 'majority'].includes(level)) return
  if (level === 'linearizable' || level === 'snapshot') throw notSupported(`read concern ${level}`)
  throw new CommandError('FailedToParse',
    "readConcern.level must be either 'local', 'majority', 'linearizable', 'available', or 'snapshot'")
}

function checkWriteConcern (concern: Value): void {
  if (concern === undefined || concern === null) return
  if (!isDocument(concern)) throw new CommandError('TypeMismatch', 'writeConcern must be an object')
  checkFields('writeConcern', concern, new Set(['w', 'j', 'journal', 'wtimeout', 'wtimeoutMS', 'fsync', 'provenance']))
  const w = toNumber(concern.w)
  if (w !== undefined && (w < 0 || w > 50)) {
    throw new CommandError('FailedToParse', 'w has to be a non-negative number and not greater than 50')
  }
  if (w !== undefined && w > 1) throw new CommandError('BadValue', "cannot use 'w' > 1 when a host is not replicated")
  if (typeof concern.w === 'string' && concern.w !== 'majority') {
    throw new CommandError('BadValue',
      `cannot use non-majority 'w' mode ${concern.w} when a host is not a member of a replica set`)
  }
}
