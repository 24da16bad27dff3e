import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'

/** What every command may carry besides its own fields. */
const general = ['$db', '$readPreference', 'maxTimeMS', 'writeConcern']

/** The fields of commands besides their names. */
const fields: Record<string, string[]> = {
  find: ['filter', 'projection', 'sort', 'hint', 'skip', 'limit', 'batchSize', 'singleBatch'],
  getMore: ['collection', 'batchSize'],
  killCursors: ['cursors'],
  count: ['query', 'limit', 'skip', 'hint'],
  aggregate: ['pipeline', 'cursor', 'hint'],
  explain: ['verbosity'],
  insert: ['documents', 'ordered'],
  update: ['updates', 'ordered'],
  delete: ['deletes', 'ordered'],
  listCollections: ['filter', 'nameOnly', 'cursor'],
  listIndexes: ['cursor'],
  createIndexes: ['indexes'],
  dropIndexes: ['index'],
  configureFailPoint: ['mode', 'data'],
  createUser: ['pwd', 'roles'],
  updateUser: ['pwd'],
  saslStart: ['mechanism', 'payload', 'options', 'autoAuthorize'],
  saslContinue: ['conversationId', 'payload']
}

/** Fields of commands and statements that MongoDB has and this database does not. */
const unsupported = new Set([
  'allowDiskUse', 'allowPartialResults', 'apiDeprecationErrors', 'apiStrict', 'apiVersion', 'arrayFilters',
  'authenticationRestrictions', 'authorizedCollections', 'autocommit', 'awaitData',
  'bypassDocumentValidation', 'c', 'collation', 'comment', 'commitQuorum', 'customData', 'digestPassword',
  'explain', 'fields', 'let', 'lsid', 'max', 'mechanisms', 'min', 'noCursorTimeout', 'readConcern',
  'returnKey', 'roles', 'showCredentials', 'showPrivileges', 'showRecordId', 'startTransaction', 'tailable',
  '$clusterTime'
])

/** Handshakes take whatever a client says about itself, as mongod's do. */
const takesAny = new Set(['hello', 'isMaster', 'ismaster', 'serverStatus'])

const fieldsOf = (name: string): Set<string> => new Set([name, ...fields[name] ?? [], ...general])
const known = new Map(Object.keys(fields).map((name) => [name, fieldsOf(name)]))

/** The fields of one statement of a write command. */
export const updateFields = new Set(['q', 'u', 'multi', 'upsert', 'hint'])
export const deleteFields = new Set(['q', 'limit', 'hint'])

/** Throws 40415 for an unknown field, CommandNotSupported for one that this database does not have. */
export function checkFields (where: string, doc: Doc, allowed: Set<string>): void {
  for (const [name, value] of Object.entries(doc)) {
    // Drivers send options that are off
    if (allowed.has(name) || (unsupported.has(name) && value === false)) continue
    if (unsupported.has(name)) throw notSupported(`the option ${name}`)
    throw new CommandError(40415, `BSON field '${where}.${name}' is an unknown field.`)
  }
}

/** Throws for what a command may not carry, be it unknown or not supported here. */
export function checkOptions (name: string, body: Doc): void {
  if (body.txnNumber !== undefined) {
    throw new CommandError('IllegalOperation',
      'Transaction numbers are only allowed on a replica set member or mongos')
  }
  if (!takesAny.has(name)) checkFields(name, body, known.get(name) ?? fieldsOf(name))
  checkWriteConcern(body.writeConcern)
  checkMaxTime(body.maxTimeMS)
}

function checkMaxTime (maxTimeMS: Value): void {
  if (maxTimeMS === undefined) return
  const time = toNumber(maxTimeMS)
  if (time === undefined) throw new CommandError('TypeMismatch', 'maxTimeMS must be a number')
  if (!Number.isInteger(time) || time < 0 || time > 0x7fffffff) {
    throw new CommandError('BadValue', `${time} value for maxTimeMS is out of range [0, 2147483647]`)
  }
}

function checkWriteConcern (concern: Value): void {
  if (concern === undefined) return
  if (!isDocument(concern)) throw new CommandError('TypeMismatch', 'writeConcern must be an object')
  checkFields('writeConcern', concern, new Set(['w', 'j', 'wtimeout']))
  const { w } = concern
  if (w === undefined || w === 'majority') return
  const number = toNumber(w)
  if (number !== 0 && number !== 1) {
    throw new CommandError('BadValue', `cannot use 'w: ${String(number ?? w)}' when a host is not replicated`)
  }
}
