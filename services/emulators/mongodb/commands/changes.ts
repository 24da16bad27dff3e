import { checkStorable, decode } from '../bson/encoding.ts'
import type { Stored } from '../bson/encoding.ts'
import { BSONRegExp } from 'bson'
import { isDocument, typeName } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Clock } from '../query/clock.ts'
import { Finder } from '../query/finder.ts'
import type { Search } from '../query/finder.ts'
import { matches } from '../query/filter.ts'
import type { Filter } from '../query/filter.ts'
import type { Collection } from '../storage/collection.ts'
import { maxDocument } from '../update/update.ts'
import type { Update } from '../update/update.ts'
import { findCollection, makeCollection } from './command.ts'
import type { Command } from './command.ts'

/** What became of an update. */
export interface Outcome {
  matched: number
  modified: number
  /** The `_id` of the document that was inserted. */
  upserted: Value
}

/** A document that matched, with the count of changes of its collection at that time. */
interface Match { rid: number, bytes: Uint8Array, changes: number }

/** Inserts a document. Throws for one that cannot be stored. */
export function insert (command: Command, { bytes, doc }: Stored): void {
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
export async function change (
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
export async function removeAll (collection: Collection, search: Search, clock: Clock): Promise<number> {
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
