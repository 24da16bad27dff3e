import { Int32 } from 'bson'
import type { Doc, Value } from '../bson/bson.ts'
import { checkDepth, decode, elements, encode, encodeField, integer, isDocument, join, okField, rawField, toNumber, withId } from '../bson/bson.ts'
import type { Clock } from '../query/clock.ts'
import { checkFields, statementFields } from './fields.ts'
import type { Command, Handler, Reply } from './context.ts'
import { collectionName, documentField, makeCollection, missingField, refuseCollation } from './context.ts'
import { CommandError } from '../errors.ts'
import type { Filter } from '../query/filter.ts'
import { matches, parseFilter } from '../query/filter.ts'
import type { Search } from '../query/finder.ts'
import { Finder } from '../query/finder.ts'
import { keyParts } from '../bson/keys.ts'
import type { Project } from '../query/projection.ts'
import { projection } from '../query/projection.ts'
import { hintOf, sortField } from './read.ts'
import type { Collection } from '../storage/storage.ts'
import type { Update } from '../update/update.ts'
import { maxDocument, parseUpdate } from '../update/update.ts'

interface WriteError extends Doc { index: Int32, code: number, errmsg: string }

const maxBatch = 100000

/** Runs the statements of a write command; an ordered one stops at the first that fails. */
async function statements (command: Command, list: string, run: (bytes: Uint8Array, index: number) => void | Promise<void>): Promise<WriteError[]> {
  const docs = command.sequences.get(list) ?? (Array.isArray(command.body[list]) ? command.body[list].map(encode) : undefined)
  if (docs === undefined) throw missingField(command.name, list)
  if (docs.length === 0 || docs.length > maxBatch) throw new CommandError('InvalidLength', `Write batch sizes must be between 1 and ${maxBatch}. Got ${docs.length} operations.`)
  const ordered = command.body.ordered !== false
  const errors: WriteError[] = []
  for (const [index, bytes] of docs.entries()) {
    if (command.clock.due) await command.clock.pause()
    try {
      const running = run(bytes, index)
      if (running !== undefined) await running
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === 50) throw error
      errors.push({ index: new Int32(index), code: error.code, ...error.extra, errmsg: error.message })
      if (ordered) break
    }
  }
  return errors
}

const withErrors = (reply: Doc, errors: WriteError[]): Doc => ({ ...reply, ...(errors.length > 0 ? { writeErrors: errors } : {}), ok: 1 })

function checkDocument (bytes: Uint8Array, doc: Doc): void {
  if (bytes.length > maxDocument) throw new CommandError('BSONObjectTooLarge', `object to insert too large. size in bytes: ${bytes.length}, max size: ${maxDocument}`)
  checkId(doc._id)
  checkDepth(doc)
}

function checkId (id: Value): void {
  if (Array.isArray(id)) throw new CommandError('InvalidIdField', "The '_id' value cannot be of type array")
  if (id?._bsontype === 'BSONRegExp') throw new CommandError('InvalidIdField', "The '_id' value cannot be of type regex")
  if (id === undefined) throw new CommandError('InvalidIdField', "The '_id' value cannot be of type undefined")
  if (isDocument(id)) {
    const operator = Object.keys(id).find((name) => name[0] === '$' && !['$ref', '$id', '$db'].includes(name))
    if (operator !== undefined) throw new CommandError('DollarPrefixedFieldName', `_id fields may not contain '$'-prefixed fields: ${operator} is not valid for storage.`)
  }
}

function read (bytes: Uint8Array): Doc {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError('InvalidBSON', (error as Error).message)
  }
}

const insert: Handler = async (command) => {
  const name = collectionName(command)
  let n = 0
  const errors = await statements(command, 'documents', (bytes) => {
    const stored = withId(bytes, read(bytes))
    checkDocument(stored.bytes, stored.doc)
    const collection = makeCollection(command, name)
    validate(command, collection, stored.doc)
    collection.insert(stored.bytes, stored.doc)
    n++
  })
  return withErrors({ n: new Int32(n) }, errors)
}

const validators = new WeakMap<Doc, Filter>()

function validate (command: Command, collection: Collection, doc: Doc): void {
  if (command.body.bypassDocumentValidation === true) return
  const { validator, validationAction } = collection.options
  if (validator === undefined || validationAction === 'warn') return
  let filter = validators.get(validator)
  if (filter === undefined) validators.set(validator, filter = parseFilter(validator))
  if (!matches(filter, doc)) throw new CommandError('DocumentValidationFailure', 'Document failed validation', { errInfo: { failingDocumentId: doc._id } })
}

interface Outcome {
  matched: number
  modified: number
  upserted: Value
  /** The document as it was and as it is, of a change of one. */
  before?: Uint8Array
  after?: Uint8Array
}

/** A document with the count of changes of its collection at which it was found to match. */
interface Match { rid: number, bytes: Uint8Array, changes: number }

/**
 * What a search finds, all of it before anything is changed: a changed document could come up again further on in an
 * index. Others may write meanwhile, so that `current` has to be asked before one is changed.
 */
async function found (collection: Collection, search: Search, clock: Clock): Promise<Match[]> {
  const finder = new Finder(collection, search, clock)
  const matched: Match[] = []
  const single = search.limit === 1
  for (let next = await finder.next(); next !== undefined; next = await finder.next()) {
    matched.push({ rid: next.rid, bytes: single ? next.bytes : none, changes: single ? collection.changes : -1 })
  }
  return matched
}

const none = new Uint8Array()

/** The document as it is now, undefined if it no longer matches. */
function current (collection: Collection, { rid, bytes, changes }: Match, filter: Filter): Uint8Array | undefined {
  if (collection.dropped) throw new CommandError('QueryPlanKilled', `collection dropped: ${collection.namespace}`)
  if (changes === collection.changes) return bytes
  const now = collection.read(rid)
  return now === undefined || !matches(filter, decode(now)) ? undefined : now
}

/** Changes what a search finds, or inserts if it finds nothing and `upsert` is set. */
async function change (command: Command, name: string, search: Search, update: Update, upsert: boolean): Promise<Outcome> {
  const outcome: Outcome = { matched: 0, modified: 0, upserted: undefined }
  for (;;) {
    const collection = command.storage.collection(command.database, name)
    let changes = collection?.changes
    const matched = collection === undefined ? [] : await found(collection, search, command.clock)
    if (matched.length === 0) changes = collection?.changes
    for (const match of matched) {
      if (command.clock.due) await command.clock.pause()
      applyUpdate(command, collection!, match, search.filter, update, outcome)
    }
    if (outcome.matched > 0) return outcome
    // what was found has changed meanwhile: the search has to be made again
    if (matched.length > 0 && search.limit === 1) continue
    if (!upsert) return outcome
    const now = command.storage.collection(command.database, name)
    if (now !== collection || now?.changes !== changes) continue
    insertUpsert(command, name, update.insert(search.filter), outcome)
    return outcome
  }
}

function applyUpdate (command: Command, collection: Collection, match: Match, filter: Filter, update: Update, outcome: Outcome): void {
  const bytes = current(collection, match, filter)
  if (bytes === undefined) return
  const changed = update.apply(bytes, decode(bytes), filter)
  outcome.matched++
  outcome.before = bytes
  outcome.after = changed.bytes
  if (Buffer.compare(bytes, changed.bytes) === 0) return
  checkDepth(changed.doc)
  validate(command, collection, changed.doc)
  collection.replace(match.rid, decode(bytes), changed.bytes, changed.doc, changed.touched)
  outcome.modified++
}

function insertUpsert (command: Command, name: string, { bytes, doc }: { bytes: Uint8Array, doc: Doc }, outcome: Outcome): void {
  checkDocument(bytes, doc)
  const target = makeCollection(command, name)
  validate(command, target, doc)
  target.insert(bytes, doc)
  outcome.upserted = doc._id
  outcome.after = bytes
}

function rawOf (bytes: Uint8Array, name: string): Uint8Array | undefined {
  const field = elements(bytes).find((f) => f.name === name)
  return field?.type === 3 ? bytes.subarray(field.value, field.end) : undefined
}

const update: Handler = async (command) => {
  const name = collectionName(command)
  let n = 0
  let modified = 0
  const upserted: Doc[] = []
  const errors = await statements(command, 'updates', async (bytes, index) => {
    const statement = read(bytes)
    checkFields('update.updates', statement, statementFields.update)
    if (statement.c !== undefined) throw new CommandError('CommandNotSupported', 'constants of an update are not supported by this database')
    refuseCollation(statement.collation)
    if (!isDocument(statement.q)) throw missingField('update.updates', 'q')
    if (statement.u === undefined) throw missingField('update.updates', 'u')
    const multi = statement.multi === true
    const change_ = parseUpdate(statement.u, rawOf(bytes, 'u'), statement.arrayFilters, multi)
    const search: Search = {
      filter: parseFilter(statement.q),
      limit: multi ? Infinity : 1,
      hint: hintOf(statement.hint)
    }
    const outcome = await change(command, name, search, change_, statement.upsert === true)
    n += outcome.matched
    modified += outcome.modified
    if (outcome.upserted !== undefined) {
      n++
      upserted.push({ index: new Int32(index), _id: outcome.upserted })
    }
  })
  return withErrors({ n: integer(n), nModified: integer(modified), ...(upserted.length > 0 ? { upserted } : {}) }, errors)
}

/** Deletes what a search finds; returns how many. */
async function removeMatches (collection: Collection, search: Search, clock: Clock): Promise<number> {
  let n = 0
  for (;;) {
    const matched = await found(collection, search, clock)
    for (const match of matched) {
      if (clock.due) await clock.pause()
      const bytes = current(collection, match, search.filter)
      if (bytes === undefined) continue
      collection.remove(match.rid, decode(bytes))
      n++
    }
    if (search.limit !== 1 || n > 0 || matched.length === 0) return n
  }
}

const remove: Handler = async (command) => {
  const name = collectionName(command)
  let n = 0
  const errors = await statements(command, 'deletes', async (bytes) => {
    const statement = read(bytes)
    checkFields('delete.deletes', statement, statementFields.delete)
    refuseCollation(statement.collation)
    if (!isDocument(statement.q)) throw missingField('delete.deletes', 'q')
    const limit = toNumber(statement.limit)
    if (limit === undefined) throw missingField('delete.deletes', 'limit')
    if (limit !== 0 && limit !== 1) throw new CommandError('FailedToParse', `The limit field in delete objects must be 0 or 1. Got ${limit}`)
    const filter = parseFilter(statement.q)
    const collection = command.storage.collection(command.database, name)
    if (collection === undefined) return
    n += await removeMatches(collection, { filter, limit: limit === 0 ? Infinity : 1, hint: hintOf(statement.hint) }, command.clock)
  })
  return withErrors({ n: integer(n) }, errors)
}

async function removeOne (collection: Collection, search: Search, clock: Clock): Promise<Uint8Array | undefined> {
  for (;;) {
    const [match] = await found(collection, search, clock)
    if (match === undefined) return undefined
    const bytes = current(collection, match, search.filter)
    if (bytes === undefined) continue
    collection.remove(match.rid, decode(bytes))
    return bytes
  }
}

const findAndModify: Handler = async (command) => {
  const { body } = command
  const name = collectionName(command)
  refuseCollation(body.collation)
  const removing = body.remove === true
  if (removing && body.update !== undefined) throw new CommandError('FailedToParse', 'Cannot specify both an update and remove=true')
  if (!removing && body.update === undefined) throw new CommandError('FailedToParse', 'Either an update or remove=true must be specified')
  if (removing && body.upsert === true) throw new CommandError('FailedToParse', 'Cannot specify both upsert=true and remove=true')
  if (removing && body.new === true) throw new CommandError('FailedToParse', "Cannot specify both new=true and remove=true; 'remove' always returns the deleted document")
  const fields = documentField(command, 'fields', documentField(command, 'projection'))
  const project: Project | undefined = Object.keys(fields).length === 0 ? undefined : projection(fields)
  const filter = parseFilter(documentField(command, 'query'))
  const search: Search = { filter, sort: keyParts(sortField(command)), limit: 1, hint: hintOf(body.hint) }
  // the document goes out as it is stored
  const answer = (lastErrorObject: Doc, bytes: Uint8Array | undefined): Reply => join([
    encodeField('lastErrorObject', lastErrorObject),
    bytes === undefined ? encodeField('value', null) : rawField(3, 'value', project === undefined ? bytes : encode(project(decode(bytes), filter))),
    okField
  ])
  if (removing) {
    const collection = command.storage.collection(command.database, name)
    const removed = collection === undefined ? undefined : await removeOne(collection, search, command.clock)
    return answer({ n: new Int32(removed === undefined ? 0 : 1) }, removed)
  }
  const update = parseUpdate(body.update, undefined, body.arrayFilters, false)
  const outcome = await change(command, name, search, update, body.upsert === true)
  const bytes = body.new === true ? outcome.after : outcome.before
  return answer({
    n: new Int32(outcome.matched > 0 || outcome.upserted !== undefined ? 1 : 0),
    updatedExisting: outcome.matched > 0,
    ...(outcome.upserted === undefined ? {} : { upserted: outcome.upserted })
  }, bytes)
}

export const writeCommands: Record<string, Handler> = { insert, update, delete: remove, findAndModify, findandmodify: findAndModify }
