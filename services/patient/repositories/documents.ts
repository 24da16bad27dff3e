import { BSON, type Collection, type Document, type Filter } from 'mongodb'
import type { Database } from '#common/database.ts'
import { allows, type Precondition } from '../preconditions.ts'

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

const PAGE_BYTES = 4 * 2 ** 20
const live = { _deleted: null }

/**
 * The documents of one collection. Each change is of one document, conditional and atomic in the database.
 * Every write is idempotent, so that it can be repeated after a broken connection.
 */
export class Documents<T extends Stored> {
  readonly database: Database
  readonly name: string
  #refusals: Refusals

  constructor (database: Database, name: string, refusals: Refusals) {
    this.database = database
    this.name = name
    this.#refusals = refusals
  }

  get collection (): Collection<T> {
    return this.database.collection<T>(this.name)
  }

  /** @throws the `missing` refusal */
  async load (key: Key): Promise<T> {
    return await this.find(key) ?? this.#refuse('missing')
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
   * Replaces a live document where the precondition allows it.
   *
   * @throws the `missing`, the `stale` or the `exists` refusal
   */
  async replace (document: T, precondition: Precondition) {
    const key = keyOf(document)
    const filter = { ...key, ...live, ...versions(precondition) } as Filter<T>
    await this.database.run(async () => {
      for (;;) {
        const { matchedCount } = await this.collection.replaceOne(filter, document)
        if (matchedCount === 1) return
        const current = await this.collection.findOne<T>(key as Filter<T>)
        // An earlier attempt succeeded, and its connection broke
        if (current?._audit === document._audit) return
        if (!current || current._deleted) this.#refuse('missing')
        this.#requireAllowed(precondition, current)
      }
    })
  }

  /**
   * Replaces a live document with the result of `next`, which is called again after a concurrent change.
   *
   * @throws the `missing`, the `stale` or the `exists` refusal
   */
  change (key: Key, audit: string, precondition: Precondition, next: (current: T) => T): Promise<T> {
    return this.database.run(async () => {
      for (;;) {
        const current = await this.load(key)
        if (current._audit === audit) return current
        this.#requireAllowed(precondition, current)
        const document = next(current)
        const filter = { ...key, _audit: current._audit } as Filter<T>
        const { matchedCount } = await this.collection.replaceOne(filter, document)
        if (matchedCount === 1) return document
      }
    })
  }

  /** @throws the `missing`, the `stale` or the `exists` refusal */
  async remove (key: Key, precondition: Precondition) {
    let sent = false
    await this.database.run(async () => {
      for (;;) {
        const current = await this.find(key)
        if (!current && sent) return
        if (!current) this.#refuse('missing')
        this.#requireAllowed(precondition, current)
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
      const cursor = this.collection.find<T>(filter as Filter<T>)
        .sort(this.order(sort)).limit(wanted).batchSize(wanted)
      for await (const document of cursor) {
        const size = BSON.calculateObjectSize(document)
        if (documents.length + 1 === wanted || (bytes > 0 && bytes + size > PAGE_BYTES)) {
          return { documents, bytes, more: true }
        }
        documents.push(document)
        bytes += size
      }
      return { documents, bytes, more: false }
    })
  }

  #requireAllowed (precondition: Precondition, { _audit }: T) {
    if (allows(precondition, _audit)) return
    this.#refuse(precondition.ifNoneMatch === '*' ? 'exists' : 'stale')
  }

  #refuse (refusal: keyof Refusals): never {
    throw new this.#refusals[refusal]()
  }
}

export const keyOf = ({ _id, _shardKey }: Key): Key => ({ _id, _shardKey })

/** The filter of the versions that a precondition allows. */
function versions ({ ifMatch, ifNoneMatch }: Precondition): Document {
  if (ifMatch === undefined && ifNoneMatch === undefined) return {}
  if (ifNoneMatch === '*') return { _audit: { $in: [] } }
  return { _audit: { ...(Array.isArray(ifMatch) && { $in: ifMatch }), $nin: ifNoneMatch ?? [] } }
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
