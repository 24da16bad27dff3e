import { Int32 } from 'bson'
import type { Doc, Value } from './bson.ts'
import { decode, elements, encode, encodeField, integer, isDocument, join, okField, rawField, toNumber, withId } from './bson.ts'
import type { Command, Handler, Reply } from './context.ts'
import { collectionName, documentField, makeCollection, missingField, refuseCollation } from './context.ts'
import { CommandError } from './errors.ts'
import type { Filter } from './filter.ts'
import { matches, parseFilter } from './filter.ts'
import type { Search } from './find.ts'
import { Finder } from './find.ts'
import { keyParts } from './keys.ts'
import type { Project } from './projection.ts'
import { projection } from './projection.ts'
import { hintOf, sortField } from './read.ts'
import type { Collection } from './storage.ts'
import type { Update } from './update.ts'
import { maxDocument, parseUpdate } from './update.ts'

interface WriteError extends Doc { index: Int32, code: number, errmsg: string }

const maxBatch = 100000

/** Runs the statements of a write command; an ordered one stops at the first that fails. */
function statements (command: Command, list: string, run: (bytes: Uint8Array, index: number) => void): WriteError[] {
  const docs = command.sequences.get(list) ?? (Array.isArray(command.body[list]) ? command.body[list].map(encode) : undefined)
  if (docs === undefined) throw missingField(command.name, list)
  if (docs.length === 0 || docs.length > maxBatch) throw new CommandError('InvalidLength', `Write batch sizes must be between 1 and ${maxBatch}. Got ${docs.length} operations.`)
  const ordered = command.body.ordered !== false
  const errors: WriteError[] = []
  for (const [index, bytes] of docs.entries()) {
    try {
      run(bytes, index)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
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
    throw new CommandError('InvalidBSON', (error as Error).message)
  }
}

const insert: Handler = (command) => {
  const name = collectionName(command)
  let n = 0
  const errors = statements(command, 'documents', (bytes) => {
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

/** Changes what a search finds, or inserts if it finds nothing and `upsert` is set. */
function change (command: Command, name: string, search: Search, update: Update, upsert: boolean): Outcome {
  const collection = command.storage.collection(command.database, name)
  const outcome: Outcome = { matched: 0, modified: 0, upserted: undefined }
  if (collection !== undefined) {
    const finder = new Finder(collection, search)
    // all of them first: a changed document could come up again further on in the index
    const rids: number[] = []
    let only: Uint8Array | undefined
    for (let found = finder.next(); found !== undefined; found = finder.next()) {
      rids.push(found.rid)
      only = found.bytes
    }
    const apply = (): void => {
      for (const rid of rids) {
        const bytes = rids.length === 1 ? only! : collection.read(rid)!
        const old = decode(bytes)
        const changed = update.apply(bytes, decode(bytes), search.filter)
        outcome.matched++
        outcome.before = bytes
        outcome.after = changed.bytes
        if (Buffer.compare(bytes, changed.bytes) === 0) continue
        validate(command, collection, changed.doc)
        collection.replace(rid, old, changed.bytes, changed.doc, changed.touched)
        outcome.modified++
      }
    }
    apply()
  }
  if (outcome.matched === 0 && upsert) {
    const { bytes, doc } = update.insert(search.filter)
    checkDocument(bytes, doc)
    const target = collection ?? makeCollection(command, name)
    validate(command, target, doc)
    target.insert(bytes, doc)
    outcome.upserted = doc._id
    outcome.after = bytes
  }
  return outcome
}

function rawOf (bytes: Uint8Array, name: string): Uint8Array | undefined {
  const field = elements(bytes).find((f) => f.name === name)
  return field?.type === 3 ? bytes.subarray(field.value, field.end) : undefined
}

const update: Handler = (command) => {
  const name = collectionName(command)
  const variables = documentField(command, 'let')
  let n = 0
  let modified = 0
  const upserted: Doc[] = []
  const errors = statements(command, 'updates', (bytes, index) => {
    const statement = read(bytes)
    refuseCollation(statement.collation)
    if (!isDocument(statement.q)) throw missingField('update.updates', 'q')
    if (statement.u === undefined) throw missingField('update.updates', 'u')
    const multi = statement.multi === true
    const change_ = parseUpdate(statement.u, rawOf(bytes, 'u'), statement.arrayFilters, { ...variables, ...statement.c }, multi)
    const search: Search = {
      filter: parseFilter(statement.q, variables),
      limit: multi ? Infinity : 1,
      hint: hintOf(statement.hint),
      ...(isDocument(statement.sort) && !multi ? { sort: keyParts(statement.sort) } : {})
    }
    const outcome = change(command, name, search, change_, statement.upsert === true)
    n += outcome.matched
    modified += outcome.modified
    if (outcome.upserted !== undefined) {
      n++
      upserted.push({ index: new Int32(index), _id: outcome.upserted })
    }
  })
  return withErrors({ n: integer(n), nModified: integer(modified), ...(upserted.length > 0 ? { upserted } : {}) }, errors)
}

const remove: Handler = (command) => {
  const name = collectionName(command)
  const variables = documentField(command, 'let')
  let n = 0
  const errors = statements(command, 'deletes', (bytes) => {
    const statement = read(bytes)
    refuseCollation(statement.collation)
    if (!isDocument(statement.q)) throw missingField('delete.deletes', 'q')
    const limit = toNumber(statement.limit)
    if (limit === undefined) throw missingField('delete.deletes', 'limit')
    if (limit !== 0 && limit !== 1) throw new CommandError('FailedToParse', `The limit field in delete objects must be 0 or 1. Got ${limit}`)
    const filter = parseFilter(statement.q, variables)
    const collection = command.storage.collection(command.database, name)
    if (collection === undefined) return
    const finder = new Finder(collection, { filter, limit: limit === 0 ? Infinity : 1, hint: hintOf(statement.hint) })
    const rids: number[] = []
    for (let found = finder.next(); found !== undefined; found = finder.next()) rids.push(found.rid)
    for (const rid of rids) {
      collection.remove(rid, decode(collection.read(rid)!))
      n++
    }
  })
  return withErrors({ n: integer(n) }, errors)
}

const findAndModify: Handler = (command) => {
  const { body } = command
  const name = collectionName(command)
  refuseCollation(body.collation)
  const variables = documentField(command, 'let')
  const removing = body.remove === true
  if (removing && body.update !== undefined) throw new CommandError('FailedToParse', 'Cannot specify both an update and remove=true')
  if (!removing && body.update === undefined) throw new CommandError('FailedToParse', 'Either an update or remove=true must be specified')
  if (removing && body.upsert === true) throw new CommandError('FailedToParse', 'Cannot specify both upsert=true and remove=true')
  if (removing && body.new === true) throw new CommandError('FailedToParse', "Cannot specify both new=true and remove=true; 'remove' always returns the deleted document")
  const fields = documentField(command, 'fields', documentField(command, 'projection'))
  const project: Project | undefined = Object.keys(fields).length === 0 ? undefined : projection(fields, variables)
  const filter = parseFilter(documentField(command, 'query'), variables)
  const search: Search = { filter, sort: keyParts(sortField(command)), limit: 1, hint: hintOf(body.hint) }
  // the document goes out as it is stored
  const answer = (lastErrorObject: Doc, bytes: Uint8Array | undefined): Reply => join([
    encodeField('lastErrorObject', lastErrorObject),
    bytes === undefined ? encodeField('value', null) : rawField(3, 'value', project === undefined ? bytes : encode(project(decode(bytes), filter))),
    okField
  ])
  if (removing) {
    const collection = command.storage.collection(command.database, name)
    const found = collection === undefined ? undefined : new Finder(collection, search).next()
    if (found !== undefined) collection!.remove(found.rid, decode(found.bytes))
    return answer({ n: new Int32(found === undefined ? 0 : 1) }, found?.bytes)
  }
  const update = parseUpdate(body.update, undefined, body.arrayFilters, variables, false)
  const outcome = change(command, name, search, update, body.upsert === true)
  const bytes = body.new === true ? outcome.after : outcome.before
  return answer({
    n: new Int32(outcome.matched > 0 || outcome.upserted !== undefined ? 1 : 0),
    updatedExisting: outcome.matched > 0,
    ...(outcome.upserted === undefined ? {} : { upserted: outcome.upserted })
  }, bytes)
}

export const writeCommands: Record<string, Handler> = { insert, update, delete: remove, findAndModify, findandmodify: findAndModify }
