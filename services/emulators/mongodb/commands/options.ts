import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'

/** What every command may carry besides its own fields. */
const general = [
  '$db', '$readPreference', '$clusterTime', 'lsid', 'txnNumber', 'comment', 'maxTimeMS',
  'readConcern', 'writeConcern', 'apiVersion', 'apiStrict', 'apiDeprecationErrors'
]

/** The fields of commands besides their names. */
const fields: Record<string, string[]> = {
  find: [
    'filter', 'projection', 'sort', 'hint', 'skip', 'limit', 'batchSize', 'singleBatch', 'allowDiskUse',
    'noCursorTimeout', 'allowPartialResults'
  ],
  getMore: ['collection', 'batchSize'],
  killCursors: ['cursors'],
  count: ['query', 'limit', 'skip', 'hint', 'fields'],
  distinct: ['key', 'query', 'hint'],
  aggregate: ['pipeline', 'cursor', 'allowDiskUse', 'hint'],
  explain: ['verbosity'],
  insert: ['documents', 'ordered'],
  update: ['updates', 'ordered'],
  delete: ['deletes', 'ordered'],
  findAndModify: ['query', 'sort', 'remove', 'update', 'new', 'fields', 'upsert', 'hint'],
  listCollections: ['filter', 'nameOnly', 'cursor', 'authorizedCollections'],
  listIndexes: ['cursor'],
  createIndexes: ['indexes', 'commitQuorum'],
  configureFailPoint: ['mode', 'data'],
  createUser: ['pwd', 'roles', 'digestPassword', 'mechanisms'],
  updateUser: ['pwd', 'roles', 'digestPassword', 'mechanisms'],
  saslStart: ['mechanism', 'payload', 'options', 'autoAuthorize', 'db'],
  saslContinue: ['conversationId', 'payload']
}

/** Fields of commands and statements that MongoDB has and this database does not. */
const unsupported = new Set([
  'collation', 'let', 'arrayFilters', 'bypassDocumentValidation', 'min', 'max', 'returnKey',
  'showRecordId', 'tailable', 'awaitData', 'c', 'explain', 'showCredentials', 'showPrivileges', 'customData',
  'authenticationRestrictions'
])

/** Handshakes take whatever a client says about itself, as mongod's do. */
const takesAny = new Set(['hello', 'isMaster', 'ismaster', 'serverStatus'])

const known = new Map(Object.entries(fields).map(([name, own]) => (
  [name, new Set([name, ...own, ...general])]
)))

/** The fields of one statement of a write command. */
export const updateFields = new Set(['q', 'u', 'multi', 'upsert', 'hint'])
export const deleteFields = new Set(['q', 'limit', 'hint'])

/** Whether an option asks for nothing. */
const isUnset = (value: Value): boolean => value === undefined || value === null || value === false ||
  (isDocument(value) && (Object.keys(value).length === 0 || value.locale === 'simple'))

/** Throws 40415 for an unknown field, CommandNotSupported for one that this database does not have. */
export function checkFields (where: string, doc: Doc, allowed: Set<string>): void {
  for (const name of Object.keys(doc)) {
    if (allowed.has(name)) continue
    if (!unsupported.has(name)) {
      throw new CommandError(40415, `BSON field '${where}.${name}' is an unknown field.`)
    }
    if (!isUnset(doc[name])) throw notSupported(`the option ${name}`)
  }
}

/** Throws for what a command may not carry, be it unknown or not supported here. */
export function checkOptions (name: string, body: Doc): void {
  if (!takesAny.has(name)) checkFields(name, body, known.get(name) ?? new Set([name, ...general]))
  checkApi(body)
  checkReadConcern(body.readConcern)
  checkWriteConcern(body.writeConcern)
  checkMaxTime(body.maxTimeMS)
  if (body.txnNumber !== undefined) {
    throw new CommandError('IllegalOperation',
      'Transaction numbers are only allowed on a replica set member or mongos')
  }
}

function checkMaxTime (maxTimeMS: Value): void {
  if (maxTimeMS === undefined) return
  const time = toNumber(maxTimeMS)
  if (time === undefined) throw new CommandError('TypeMismatch', 'maxTimeMS must be a number')
  if (!Number.isInteger(time) || time < 0 || time > 0x7fffffff) {
    throw new CommandError('BadValue', `${time} value for maxTimeMS is out of range [0, 2147483647]`)
  }
}

function checkApi ({ apiVersion, apiStrict, apiDeprecationErrors }: Doc): void {
  if (apiVersion === undefined && (apiStrict !== undefined || apiDeprecationErrors !== undefined)) {
    throw new CommandError('APIVersionError',
      'Provided apiStrict and/or apiDeprecationErrors without passing apiVersion')
  }
  if (apiVersion !== undefined && apiVersion !== '1') {
    throw new CommandError('APIVersionError', `Provided apiVersion:${String(apiVersion)} is not supported`)
  }
  if (apiStrict === true) throw notSupported('apiStrict')
}

function checkReadConcern (concern: Value): void {
  if (concern === undefined) return
  if (!isDocument(concern)) throw new CommandError('TypeMismatch', 'readConcern must be an object')
  checkFields('readConcern', concern, new Set(['level', 'provenance']))
  switch (concern.level) {
    case undefined:
    case 'local':
    case 'available':
    case 'majority': return
    case 'linearizable':
    case 'snapshot': throw notSupported(`read concern ${concern.level}`)
    default: throw new CommandError('FailedToParse',
      "readConcern.level must be either 'local', 'majority', 'linearizable', 'available', or 'snapshot'")
  }
}

function checkWriteConcern (concern: Value): void {
  if (concern === undefined || concern === null) return
  if (!isDocument(concern)) throw new CommandError('TypeMismatch', 'writeConcern must be an object')
  checkFields('writeConcern', concern,
    new Set(['w', 'j', 'journal', 'wtimeout', 'wtimeoutMS', 'fsync', 'provenance']))
  const w = toNumber(concern.w)
  if (w !== undefined && (w < 0 || w > 50)) {
    throw new CommandError('FailedToParse', 'w has to be a non-negative number and not greater than 50')
  }
  if (w !== undefined && w > 1) {
    throw new CommandError('BadValue', "cannot use 'w' > 1 when a host is not replicated")
  }
  if (typeof concern.w === 'string' && concern.w !== 'majority') {
    throw new CommandError('BadValue',
      `cannot use non-majority 'w' mode ${concern.w} when a host is not a member of a replica set`)
  }
}
