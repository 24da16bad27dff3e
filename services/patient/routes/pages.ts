import type { FastifyReply } from 'fastify'
import { linkNextPage, SealedCursors } from '#common/http/cursors.ts'
import type { SealingKeys } from '#common/secrets/sealing.ts'
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

interface SealedPosition {
  value: unknown
  /** Whether the value is a date. */
  date?: true
  id: string
}

/**
 * Cursors of one search: of one subscription, path, sort and set of criteria. A sort value is health data and
 * URLs are logged, so a cursor is encrypted, with its search: no other search accepts it.
 */
export class Cursors {
  #cursors: SealedCursors<SealedPosition>
  #field: string

  constructor (keys: SealingKeys, actor: unknown, path: string, sort: string, criteria: object = {}) {
    this.#field = sortOf(sort).field
    this.#cursors = new SealedCursors(keys, [actor ?? null, path, sort, criteria])
  }

  /** @throws {InvalidCursor} */
  async position (cursor: string | undefined): Promise<Position | undefined> {
    const position = await this.#cursors.open(cursor)
    if (position === undefined) return undefined
    const { value, date, id } = position
    return { value: date ? new Date(value as string) : value, id }
  }

  /** The cursor of the page that begins after a document. */
  next (last: Stored) {
    const value = this.#field.split('.').reduce((holder: unknown, name) => {
      return (holder as Record<string, unknown> | undefined)?.[name]
    }, last)
    return this.#cursors.seal({ value, ...(value instanceof Date && { date: true }), id: last._id })
  }
}

/** Fulfilled when the response is sent, or its connection is closed. */
export function sent ({ raw }: FastifyReply) {
  return raw.closed ? Promise.resolve() : new Promise<void>((resolve) => raw.once('close', resolve))
}

/** Adds a `Link` to the next page, if there is one. */
export function linkNext (
  reply: FastifyReply, path: string, query: PageQuery, { documents, more }: Page<Stored>, cursors: Cursors
) {
  if (more) linkNextPage(reply, path, query, cursors.next(documents.at(-1)!))
}
