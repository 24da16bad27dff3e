import type { FastifyReply } from 'fastify'
import { stringify } from 'safe-stable-stringify'
import type { SealingKeys } from '../secrets/sealing.ts'

/**
 * Seals positions into cursors that only one search accepts: that of the same context, for example one
 * subscription, path, sort and set of criteria.
 */
export class SealedCursors<P> {
  #keys: SealingKeys
  #context: string

  /** @param context what identifies the search; anything that JSON can hold */
  constructor (keys: SealingKeys, context: unknown[]) {
    this.#keys = keys
    this.#context = stringify(context)!
  }

  /** @throws {InvalidCursor} */
  async open (cursor: string | undefined): Promise<P | undefined> {
    return cursor === undefined ? undefined : JSON.parse(await this.#keys.open(cursor, this.#context))
  }

  seal (position: P) {
    return this.#keys.seal(JSON.stringify(position), this.#context)
  }
}

/** Adds a `Link` (RFC 8288) to the next page: the `query` of this page with another `cursor`. */
export function linkNextPage (reply: FastifyReply, path: string, query: object, cursor: string) {
  const next = new URLSearchParams({ ...query, cursor })
  reply.header('link', `<${path}?${next}>; rel="next"`)
}
