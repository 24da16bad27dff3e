import type { Collection, Document, Filter } from 'mongodb'
import type { Database } from '#common/database.ts'
import { allows, type Precondition } from '../preconditions.ts'

/** What every stored document has beside its own properties. */
export interface Stored {
  _id: string
  /** Cosmos DB routes by it. */
  _shardKey: string
  /** The audit record of the write that made this version: the document's version, and its ETag. */
  _audit: string
  /** Only in what is left of a deleted document. */
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

/** The place after which a page begins: the value sorted by, and the id that decides among equals. */
export interface Position {
  value: unknown
  id: string
}

const live = { _deleted: null }

interface Refusals {
  missing: new () => Error
  stale: new () => Error
}

/**
 * The documents of one collection, changed one at a time, each change conditional and atomic in the database.
 * Every write may be carried out twice without harm, so that it can be repeated after a broken connection.
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
    return await this.database.run(() => this.collection.findOne({ ...key, ...live } as Filter<T>, { projection: { _id: 1 } })) !== null
  }

  /** `sent` says that an earlier request may have stored the very same document. */
  insert (document: T, sent?: boolean) {
    return this.database.insertOnce(this.name, document, sent)
  }

  /**
   * Replaces a live document where the precondition allows it.
   *
   * @throws the `missing` or the `stale` refusal
   */
  async replace (document: T, precondition: Precondition) {
    const key = keyOf(document)
    await this.database.run(async () => {
      for (;;) {
        const { matchedCount } = await this.collection.replaceOne({ ...key, ...live, ...versions(precondition) } as Filter<T>, document)
        if (matchedCount === 1) return
        const current = await this.collection.findOne<T>(key as Filter<T>)
        // Before its connection broke, an earlier sending of this very write was carried out
        if (current?._audit === document._audit) return
        if (!current || current._deleted) this.#refuse('missing')
        if (!allows(precondition, current._audit)) this.#refuse('stale')
      }
    })
  }

  /**
   * Replaces a live document by what `next` makes of it, whatever else writes to it meanwhile.
   *
   * @throws the `missing` or the `stale` refusal
   */
  change (key: Key, audit: string, precondition: Precondition, next: (current: T) => T): Promise<T> {
    return this.database.run(async () => {
      for (;;) {
        const current = await this.load(key)
        if (current._audit === audit) return current
        if (!allows(precondition, current._audit)) this.#refuse('stale')
        const document = next(current)
        const { matchedCount } = await this.collection.replaceOne({ ...key, _audit: current._audit } as Filter<T>, document)
        if (matchedCount === 1) return document
      }
    })
  }

  /** @throws the `missing` or the `stale` refusal */
  async remove (key: Key, precondition: Precondition) {
    let sent = false
    await this.database.run(async () => {
      for (;;) {
        const current = await this.find(key)
        if (!current && sent) return
        if (!current) this.#refuse('missing')
        if (!allows(precondition, current._audit)) this.#refuse('stale')
        sent = true
        const { deletedCount } = await this.collection.deleteOne({ ...key, _audit: current._audit } as Filter<T>)
        if (deletedCount === 1) return
        sent = false
      }
    })
  }

  /** Up to `limit` live documents after a position, and whether more follow. */
  async page (filter: Document, { field, direction }: Sort, after: Position | undefined, limit: number) {
    const beyond = direction === 1 ? '$gt' : '$lt'
    const order = field === '_id' ? { _id: direction } : { [field]: direction, _id: direction }
    const read = (condition: Document, count: number) =>
      this.database.run(() => this.collection.find<T>(both(filter, condition, live)).sort(order).limit(count).batchSize(count).toArray())

    const wanted = limit + 1
    let documents: T[]
    if (!after) {
      documents = await read({}, wanted)
    } else if (field === '_id') {
      documents = await read({ _id: { [beyond]: after.id } }, wanted)
    } else {
      // Two ranges of one index, since servers disagree on how well they serve the one $or that says the same
      documents = await read({ [field]: after.value, _id: { [beyond]: after.id } }, wanted)
      if (documents.length < wanted) documents.push(...await read({ [field]: { [beyond]: after.value } }, wanted - documents.length))
    }
    return { documents: documents.slice(0, limit), more: documents.length > limit }
  }

  #refuse (refusal: keyof Refusals): never {
    throw new this.#refusals[refusal]()
  }
}

/** The filter of the versions that a precondition allows. */
function versions ({ ifMatch, ifNoneMatch }: Precondition): Document {
  if (ifMatch === undefined && ifNoneMatch === undefined) return {}
  if (ifNoneMatch === '*') return { _audit: { $in: [] } }
  return { _audit: { ...(Array.isArray(ifMatch) && { $in: ifMatch }), $nin: ifNoneMatch ?? [] } }
}

export const keyOf = ({ _id, _shardKey }: Key): Key => ({ _id, _shardKey })

/** The filter that all of `filters` are, where they may speak of the same fields. */
function both (...filters: Document[]) {
  const fields = filters.flatMap((filter) => Object.keys(filter))
  if (new Set(fields).size === fields.length) return Object.assign({}, ...filters)
  return { $and: filters.filter((filter) => Object.keys(filter).length > 0) }
}
