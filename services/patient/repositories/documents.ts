import { BSON, type Collection, type Document, type Filter } from 'mongodb'
import type { Database } from '#common/database.ts'
import { allows, type Precondition } from '#common/http/preconditions.ts'

/** The properties that every stored document has. */
export interface Stored {
  _id: string
  /** The shard key of Cosmos DB. */
  _shardKey: string
  /** The id of the audit record of the write that made this version: the document's version, and its ETag. */
  _audit: string
  /** Set only in the tombstone of a deleted document. */
  _deleted?: Date
  lastUpdated?: Date
}

export interface Key {
  _id: string
  _shardKey: string
}

export interface Sort {
  field: string
  direction: 1 | -1
}

/** The position after which a page begins: the value of the sort field, and the id as the tiebreaker. */
export interface Position {
  value: unknown
  id: string
}

export interface Page<T> {
  documents: T[]
  /** The size of the documents as BSON. */
  bytes: number
  more: boolean
}

/** The errors that refuse a change of a document. */
interface Refusals {
  missing: new () => Error
  stale: new () => Error
  exists: new () => Error
}

/** Where the versions are kept that changes replace. */
export interface History {
  keep (document: Stored): Promise<void>
  /** Removes the copy of a document that was not replaced. */
  drop (document: Stored): Promise<void>
}

const PAGE_BYTES = 4 * 2 ** 20
export const live = { _deleted: null }

/**
 * The documents of one collection. Each change is of one document, conditional and atomic in the database.
 * Every write is idempotent, so that it can be repeated after a broken connection.
 */
export class Documents<T extends Stored> {
  readonly database: Database
  readonly name: string
  /** The fields that pages have. */
  protected readonly projection?: Document
  #refusals: Refusals
  #history: History | undefined

  constructor (database: Database, name: string, refusals: Refusals, history?: History) {
    this.database = database
    this.name = name
    this.#refusals = refusals
    this.#history = history
  }

  get collection (): Collection<T> {
    return this.database.collection<T>(this.name)
  }

  /** @throws the `missing` refusal */
  async load (key: Key): Promise<T> {
    return await this.find(key) ?? this.throwMissing(key)
  }

  find (key: Key): Promise<T | null> {
    return this.database.run(() => this.collection.findOne<T>({ ...key, ...live } as Filter<T>))
  }

  async exists (key: Key) {
    const filter = { ...key, ...live } as Filter<T>
    return await this.database.run(() => this.collection.findOne(filter, { projection: { _id: 1 } })) !== null
  }

  /** With `sent`, an earlier request may have stored the same document. */
  insert (document: T, sent?: boolean) {
    return this.database.insertOnce(this.name, document, sent)
  }

  /**
   * Replaces a live document with the result of `next`, which is called again after a concurrent change. The
   * version that it replaces is kept before.
   *
   * @throws the `missing`, the `stale` or the `exists` refusal
   */
  change (key: Key, audit: string, precondition: Precondition, next: (current: T) => T): Promise<T> {
    return this.database.run(async () => {
      for (let kept: T | undefined; ;) {
        const current = await this.find(key)
        // It was deleted or moved, maybe after the versions of before
        if (!current && kept) await this.#history?.drop(kept)
        if (!current) return this.throwMissing(key)
        if (current._audit === audit) return current
        this.requireAllowed(precondition, current)
        const document = next(current)
        await this.#history?.keep(current)
        kept = current
        if (await this.replaceVersion(current, document)) return document
      }
    })
  }

  /** Whether `document` has replaced a version that was read before. */
  protected async replaceVersion ({ _id, _shardKey, _audit }: T, document: T) {
    const filter = { _id, _shardKey, _audit } as Filter<T>
    const { matchedCount } = await this.collection.replaceOne(filter, document)
    return matchedCount === 1
  }

  /** @throws the `missing`, the `stale` or the `exists` refusal */
  async remove (key: Key, precondition: Precondition) {
    let sent = false
    await this.database.run(async () => {
      for (;;) {
        const current = await this.find(key)
        if (!current && sent) return
        if (!current) return this.throwMissing(key)
        this.requireAllowed(precondition, current)
        sent = true
        const filter = { ...key, _audit: current._audit } as Filter<T>
        const { deletedCount } = await this.collection.deleteOne(filter)
        if (deletedCount === 1) return
        sent = false
      }
    })
  }

  /** Live documents after a position, at least one, up to `limit` and about 4 MiB. */
  async page (filter: Document, sort: Sort, after: Position | undefined, limit: number): Promise<Page<T>> {
    const page: Page<T> = { documents: [], bytes: 0, more: false }
    for (const range of rangesAfter(after, sort)) {
      const { documents, bytes, more } = await this.#read(all(filter, range, live), sort, limit, page)
      page.documents.push(...documents)
      page.bytes = bytes
      page.more = more
      if (more) break
    }
    return page
  }

  /** Up to `limit` live documents that a filter finds. */
  first (filter: Document, limit: number): Promise<T[]> {
    return this.database.run(() => {
      return this.collection.find<T>(all(filter, live) as Filter<T>).limit(limit).toArray()
    })
  }

  /** The number of live documents that a filter finds; undefined if there are more than `limit`. */
  async count (filter: Document, limit: number) {
    const counted = all(filter, live) as Filter<T>
    const count = await this.database.run(() => this.collection.countDocuments(counted, { limit: limit + 1 }))
    return count > limit ? undefined : count
  }

  /** The sort of the query. Cosmos DB needs an index with exactly these fields. */
  protected order ({ field, direction }: Sort): Record<string, 1 | -1> {
    return field === '_id' ? { _id: direction } : { [field]: direction, _id: direction }
  }

  /** Reads the documents that `before` still has space for. */
  #read (filter: Document, sort: Sort, limit: number, before: Page<T>) {
    const wanted = limit + 1 - before.documents.length
    return this.database.run(async (): Promise<Page<T>> => {
      const documents: T[] = []
      let { bytes } = before
      // As bytes, whose size is known, and a batch at a time: both cost less than one document at a time
      const options = { projection: this.projection, raw: true }
      const cursor = this.collection.find<Uint8Array>(filter as Filter<T>, options)
        .sort(this.order(sort)).limit(wanted).batchSize(wanted)
      for await (const first of cursor) {
        for (const document of [first, ...cursor.readBufferedDocuments()]) {
          if (documents.length + 1 === wanted || (bytes > 0 && bytes + document.length > PAGE_BYTES)) {
            return { documents, bytes, more: true }
          }
          documents.push(BSON.deserialize(document) as T)
          bytes += document.length
        }
      }
      return { documents, bytes, more: false }
    })
  }

  /** @throws the `missing` refusal of a document that is not found */
  async throwMissing (_key: Key): Promise<never> {
    const { missing: Missing } = this.#refusals
    throw new Missing()
  }

  /** @throws the `stale` or the `exists` refusal */
  protected requireAllowed (precondition: Precondition, { _audit }: Stored) {
    if (allows(precondition, _audit)) return
    throw new this.#refusals[precondition.ifNoneMatch === '*' ? 'exists' : 'stale']()
  }
}

export const keyOf = ({ _id, _shardKey }: Key): Key => ({ _id, _shardKey })

/** What a client sent of a document: without its ids, its keys and its date. */
export function detailsOf<T extends object> (document: Stored & T): T {
  const entries = Object.entries(document).filter(([name]) => !name.startsWith('_') && name !== 'lastUpdated')
  return Object.fromEntries(entries) as T
}

/**
 * The filters of the documents after a position, in order: ranges of one index, as not every server uses an
 * index for an equivalent `$or`. A document without the sort field sorts as the lowest.
 */
function rangesAfter (after: Position | undefined, { field, direction }: Sort): Document[] {
  const beyond = direction === 1 ? '$gt' : '$lt'
  if (!after) return [{}]
  if (field === '_id') return [{ _id: { [beyond]: after.id } }]
  const { value = null, id } = after
  const same = { [field]: value, _id: { [beyond]: id } }
  if (direction === 1) return [same, { [field]: value === null ? { $ne: null } : { $gt: value } }]
  return value === null ? [same] : [same, { [field]: { $lt: value } }, { [field]: null }]
}

/** Combines `filters`, which may have the same fields. */
function all (...filters: Document[]): Document {
  const fields = filters.flatMap((filter) => Object.keys(filter))
  if (new Set(fields).size === fields.length) return Object.assign({}, ...filters)
  return { $and: filters.filter((filter) => Object.keys(filter).length > 0) }
}
