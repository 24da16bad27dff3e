import { hash } from 'node:crypto'
import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { reviewCollections, type Contact } from './documents.ts'

const PAGE = 500
/** Contacts that are known without a look into the database. */
const REMEMBERED = 50_000

/** @param person see `personKey` */
export function contactKey (person: string, patientId: string) {
  return hash('sha256', `${person} ${patientId}`).slice(0, 32)
}

/** Who has opened the data of which patient. */
export class Contacts {
  #database: Database
  /** The indexes of contacts in the log, by id. */
  #remembered = new Map<string, number>()

  constructor (database: Database) {
    this.#database = database
  }

  /** Those of `ids` that no record of the log before `index` has. */
  async unknownBefore (index: number, ids: Set<string>) {
    const isKnown = (id: string) => (this.#remembered.get(id) ?? Infinity) < index
    const unknown = new Set([...ids].filter((id) => !isKnown(id)))
    for (const contact of await this.#find([...unknown])) {
      this.#remember(contact._id, contact.index)
      if (contact.index < index) unknown.delete(contact._id)
    }
    return unknown
  }

  /** Stores contacts; those that are stored already stay as they are. */
  async add (contacts: Map<string, Pick<Contact, 'index' | 'date'>>) {
    const documents = [...contacts].map(([_id, content]): Contact => ({ _id, _shardKey: _id, ...content }))
    for (const page of pagesOf(documents)) {
      for (let rest = page; rest.length > 0 && !await this.#insert(rest);) {
        const stored = new Set((await this.#find(rest.map(({ _id }) => _id))).map(({ _id }) => _id))
        rest = rest.filter(({ _id }) => !stored.has(_id))
      }
      for (const { _id, index } of page) this.#remember(_id, index)
    }
  }

  /** Returns false where some of them, in their order the first ones, may be stored. */
  #insert (documents: Contact[]) {
    return unlessThere(this.#database.run(() => this.#contacts.insertMany(documents, { ordered: true })))
  }

  async #find (ids: string[]) {
    const found: Contact[] = []
    for (const page of pagesOf(ids)) {
      const _id = { $in: page }
      found.push(...await this.#database.run(() => this.#contacts.find({ _id }).toArray()))
    }
    return found
  }

  #remember (id: string, index: number) {
    this.#remembered.set(id, index)
    if (this.#remembered.size > REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value!)
  }

  get #contacts () {
    return this.#database.collection<Contact>(reviewCollections.contacts)
  }
}

function * pagesOf<T> (all: T[]) {
  for (let i = 0; i < all.length; i += PAGE) yield all.slice(i, i + PAGE)
}
