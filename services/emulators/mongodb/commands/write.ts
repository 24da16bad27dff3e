import { BSONRegExp } from 'bson'
import { checkStorable, decode, decodeInput, withId } from '../bson/encoding.ts'
import type { Stored } from '../bson/encoding.ts'
import { isDocument, toNumber, typeName } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Clock } from '../query/clock.ts'
import { matches, parseFilter } from '../query/filter.ts'
import type { Filter } from '../query/filter.ts'
import { Finder, searchOf } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import type { Collection } from '../storage/collection.ts'
import { maxDocument, parseUpdate } from '../update/update.ts'
import type { Update } from '../update/update.ts'
import { collectionName, findCollection, makeCollection, missingField, wrongType } from './command.ts'
import type { Command, Handler } from './command.ts'
import { checkFields, deleteFields, updateFields } from './options.ts'
import { hintOf } from './read.ts'

/** What became of an update. */
interface Outcome {
  matched: number
  modified: number
  /** The `_id` of the document that was inserted. */
  upserted: Value
}

/** A document that matched, with the count of changes of its collection at that time. */
interface Match { rid: number, bytes: Uint8Array, changes: number }

/** Inserts a document. Throws for one that cannot be stored. */
function insert (command: Command, { bytes, doc }: Stored): void {
  if (bytes.length > maxDocument) {
    throw new CommandError('BSONObjectTooLarge',
      `object to insert too large. size in bytes: ${bytes.length}, max size: ${maxDocument}`)
  }
  const { _id: id } = doc
  if (Array.isArray(id) || id instanceof BSONRegExp || id === undefined) {
    throw new CommandError('InvalidIdField', `The '_id' value cannot be of type ${typeName(id)}`)
  }
  const operator = isDocument(id) ? Object.keys(id).find((name) => name[0] === '$') : undefined
  if (operator !== undefined) {
    throw new CommandError('DollarPrefixedFieldName',
      `_id fields may not contain '$'-prefixed fields: ${operator} is not valid for storage.`)
  }
  checkStorable(doc)
  makeCollection(command).insert(bytes, doc)
}

const unread = new Uint8Array()

/**
 * All that a search finds, before anything is changed: a changed document could come up again further on in
 * an index. Others may write meanwhile, so that `current` has to be asked before one is changed.
 */
async function findAll (collection: Collection, search: Search, clock: Clock): Promise<Match[]> {
  const finder = new Finder(collection, search, clock)
  const matched: Match[] = []
  for (let next = await finder.next(); next !== undefined; next = await finder.next()) {
    const { rid, bytes } = next
    const { changes } = collection
    matched.push(search.limit === 1 ? { rid, bytes, changes } : { rid, bytes: unread, changes: -1 })
  }
  return matched
}

/** A matched document as it is now, undefined if it no longer matches. */
function current (collection: Collection, match: Match, filter: Filter): Uint8Array | undefined {
  const { rid, bytes, changes } = match
  if (collection.dropped) {
    throw new CommandError('QueryPlanKilled', `collection dropped: ${collection.namespace}`)
  }
  if (changes === collection.changes) return bytes
  const now = collection.read(rid)
  return now === undefined || !matches(filter, decode(now)) ? undefined : now
}

/** Updates what a search finds, or inserts if it finds nothing and `upsert` is set. */
async function change (
  command: Command, search: Search, update: Update, upsert: boolean
): Promise<Outcome> {
  const outcome: Outcome = { matched: 0, modified: 0, upserted: undefined }
  for (;;) {
    const collection = findCollection(command)
    const matched = collection === undefined ? [] : await findAll(collection, search, command.clock)
    const changes = collection?.changes
    for (const match of matched) {
      if (command.clock.due) await command.clock.pause()
      changeMatch(collection!, match, search.filter, update, outcome)
    }
    if (outcome.matched > 0) return outcome
    // what was found has changed meanwhile, so that the search has to be made again
    if (matched.length > 0 && search.limit === 1) continue
    if (!upsert) return outcome
    const now = findCollection(command)
    if (now !== collection || now?.changes !== changes) continue
    const stored = update.insert(search.filter)
    insert(command, stored)
    return { ...outcome, upserted: stored.doc._id }
  }
}

function changeMatch (
  collection: Collection, match: Match, filter: Filter, update: Update, outcome: Outcome
): void {
  const bytes = current(collection, match, filter)
  if (bytes === undefined) return
  const changed = update.apply(decode(bytes))
  outcome.matched++
  if (Buffer.compare(bytes, changed.bytes) === 0) return
  checkStorable(changed.doc)
  collection.replace(match.rid, decode(bytes), changed.bytes, changed.doc)
  outcome.modified++
}

/** Deletes what a search finds; returns how many. */
async function removeAll (collection: Collection, search: Search, clock: Clock): Promise<number> {
  for (;;) {
    let n = 0
    const matched = await findAll(collection, search, clock)
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

const maxBatch = 100000

/** The statements of a command: encoded in a section of its message, or decoded in its body. */
function statementsOf ({ name, body, sequences }: Command, list: string): Value[] | Uint8Array[] {
  const found = sequences.get(list) ?? body[list]
  if (found === undefined) throw missingField(name, list)
  if (!Array.isArray(found)) throw wrongType(name, list, found, 'array')
  if (found.length > 0 && found.length <= maxBatch) return found
  throw new CommandError('InvalidLength',
    `Write batch sizes must be between 1 and ${maxBatch}. Got ${found.length} operations.`)
}

/** Runs the statements of a write command and returns their errors; an ordered one stops at the first. */
async function runStatements (
  command: Command, list: string, run: (statement: Doc, index: number) => void | Promise<void>
): Promise<{ writeErrors?: Doc[] }> {
  collectionName(command)
  const writeErrors: Doc[] = []
  for (const [index, given] of statementsOf(command, list).entries()) {
    if (command.clock.due) await command.clock.pause()
    try {
      const running = run(decodeStatement(command, list, given), index)
      if (running !== undefined) await running
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === 50) throw error
      const { code, extra, message: errmsg } = error
      writeErrors.push({ index, code, ...extra, errmsg })
      if (command.body.ordered !== false) break
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {}
}

function decodeStatement ({ name }: Command, list: string, given: Value | Uint8Array): Doc {
  if (given instanceof Uint8Array) return decodeInput(given)
  if (!isDocument(given)) throw wrongType(name, list, given, 'object')
  return given
}

const insertAll: Handler = async (command) => {
  let n = 0
  const errors = await runStatements(command, 'documents', (doc) => {
    insert(command, withId(doc))
    n++
  })
  return { n, ...errors, ok: 1 }
}

function filterOf (command: string, q: Value): Filter {
  if (!isDocument(q)) throw missingField(command, 'q')
  return parseFilter(q)
}

const update: Handler = async (command) => {
  let n = 0
  let modified = 0
  const upserted: Doc[] = []
  const errors = await runStatements(command, 'updates', async (statement, index) => {
    checkFields('update.updates', statement, updateFields)
    const { q, u, hint } = statement
    const filter = filterOf('update.updates', q)
    if (u === undefined) throw missingField('update.updates', 'u')
    const multi = statement.multi === true
    const search = searchOf({ filter, limit: multi ? Infinity : 1, hint: hintOf(hint) })
    const changes = parseUpdate(u, multi)
    const outcome = await change(command, search, changes, statement.upsert === true)
    n += outcome.matched
    modified += outcome.modified
    if (outcome.upserted === undefined) return
    n++
    upserted.push({ index, _id: outcome.upserted })
  })
  return { n, nModified: modified, ...(upserted.length > 0 && { upserted }), ...errors, ok: 1 }
}

const remove: Handler = async (command) => {
  let n = 0
  const errors = await runStatements(command, 'deletes', async (statement) => {
    checkFields('delete.deletes', statement, deleteFields)
    const filter = filterOf('delete.deletes', statement.q)
    const limit = toNumber(statement.limit)
    if (limit === undefined) throw missingField('delete.deletes', 'limit')
    if (limit !== 0 && limit !== 1) {
      throw new CommandError('FailedToParse',
        `The limit field in delete objects must be 0 or 1. Got ${limit}`)
    }
    const collection = findCollection(command)
    if (collection === undefined) return
    const search = searchOf({ filter, limit: limit || Infinity, hint: hintOf(statement.hint) })
    n += await removeAll(collection, search, command.clock)
  })
  return { n, ...errors, ok: 1 }
}

export const writeCommands: Record<string, Handler> = { insert: insertAll, update, delete: remove }
