import type { FastifyReply } from 'fastify'
import { stringify } from 'safe-stable-stringify'
import type { DataKeys } from '../data-key.ts'
import type { Page, Position, Sort, Stored } from '../repositories/documents.ts'

/** The parameters of a page; the others are criteria. */
export interface PageQuery {
  limit: number
  sort?: string
  cursor?: string
}

const FIELDS: Record<string, string> = { id: '_id', lastName: '_keys.lastName', effective: '_effective' }

export function sortOf (sort: string): Sort {
  const name = sort.replace(/^-/, '')
  return { field: FIELDS[name] ?? name, direction: sort.startsWith('-') ? -1 : 1 }
}

/**
 * Cursors of one search: of one subscription, path, sort and set of criteria. A sort value is health data and
 * URLs are logged, so a cursor is encrypted, with its search: no other search accepts it.
 */
export class Cursors {
  #keys: DataKeys
  #context: string
  #field: string

  constructor (keys: DataKeys, actor: unknown, path: string, sort: string, criteria: object = {}) {
    this.#keys = keys
    this.#field = sortOf(sort).field
    this.#context = stringify([actor ?? null, path, sort, criteria])!
  }

  /** @throws {InvalidCursor} */
  async position (cursor: string | undefined): Promise<Position | undefined> {
    if (cursor === undefined) return undefined
    const { value, date, id } = JSON.parse(await this.#keys.open(cursor, this.#context))
    return { value: date ? new Date(value) : value, id }
  }

  /** The cursor of the page that begins after a document. */
  next (last: Stored) {
    const value = this.#field.split('.').reduce((holder: unknown, name) => {
      return (holder as Record<string, unknown> | undefined)?.[name]
    }, last)
    const position = { value, date: value instanceof Date || undefined, id: last._id }
    return this.#keys.seal(JSON.stringify(position), this.#context)
  }
}

/** Fulfilled when the response is sent, or its connection is closed. */
export function sent ({ raw }: FastifyReply) {
  return raw.closed ? Promise.resolve() : new Promise<void>((resolve) => raw.once('close', resolve))
}

/** Adds a `Link` (RFC 8288) to the next page, if there is one. */
export function linkNext (
  reply: FastifyReply, path: string, query: PageQuery, { documents, more }: Page<Stored>, cursors: Cursors
) {
  if (!more) return
  const cursor = cursors.next(documents.at(-1)!)
  const next = new URLSearchParams({ ...query, limit: String(query.limit), cursor })
  reply.header('link', `<${path}?${next}>; rel="next"`)
}
