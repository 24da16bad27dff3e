import { randomBytes } from 'node:crypto'
import { Long } from 'bson'
import type { Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Clock } from '../query/clock.ts'

/** Where a cursor's documents come from, encoded; it may hold nothing that keeps others from writing. */
export interface Source {
  next: () => Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** The time of the command that reads it. */
  clock?: Clock
  /** Whether it is known that nothing more comes. */
  readonly finished: boolean
  /** Bytes held between batches. */
  readonly held: number
  release: () => void
}

export interface Cursor {
  id: Long
  namespace: string
  source: Source
  /** A document that no longer fitted in the last batch. */
  next: Uint8Array | undefined
  session: string | undefined
  /** The id of the user that opened it, and with which command. */
  user: string | undefined
  command: string
  usedAt: number
  noTimeout: boolean
  /** Whether a getMore reads it at this moment. */
  busy?: boolean
}

const maxReply = 16 * 1024 * 1024
const idleTime = 10 * 60 * 1000
const maxHeld = 256 * 1024 * 1024

export interface Batch { batch: Uint8Array[], rest: Uint8Array | undefined, done: boolean }

/** Takes documents from a source up to a number and to what one reply may hold. */
export async function batchOf (source: Source, size: number, first?: Uint8Array): Promise<Batch> {
  const batch: Uint8Array[] = []
  let bytes = 0
  let doc = first
  while (batch.length < size) {
    doc ??= await source.next()
    if (doc === undefined) return { batch, rest: undefined, done: true }
    if (bytes + doc.length > maxReply && batch.length > 0) return { batch, rest: doc, done: false }
    batch.push(doc)
    bytes += doc.length + 8
    doc = undefined
  }
  return { batch, rest: doc, done: doc === undefined && source.finished }
}

/** The open cursors of all clients. */
export class Cursors {
  #open = new Map<string, Cursor>()

  get size (): number {
    return this.#open.size
  }

  /** Keeps a source open for getMore. Throws ExceededMemoryLimit if idle cursors hold too much together. */
  open (cursor: Omit<Cursor, 'id' | 'usedAt'>): Cursor {
    let held = cursor.source.held
    for (const { source } of this.#open.values()) held += source.held
    if (held > maxHeld) {
      throw new CommandError('ExceededMemoryLimit', `open cursors hold more than ${maxHeld} bytes`)
    }
    cursor.source.release()
    const id = Long.fromBigInt(BigInt.asIntN(64, randomBytes(8).readBigUInt64BE() >> 1n) | 1n)
    const opened = { ...cursor, id, usedAt: Date.now() }
    this.#open.set(id.toString(), opened)
    return opened
  }

  /** The open cursor of an id, undefined if there is none. */
  find (id: Value): Cursor | undefined {
    return id instanceof Long ? this.#open.get(id.toString()) : undefined
  }

  /** Throws CursorNotFound, and Unauthorized for a cursor of another session or collection. */
  get (id: Long, namespace: string, session: string | undefined): Cursor {
    const cursor = this.find(id)
    if (cursor === undefined) throw new CommandError('CursorNotFound', `cursor id ${id.toString()} not found`)
    if (cursor.namespace !== namespace) {
      throw new CommandError('Unauthorized', `Requested getMore on namespace '${
        namespace}', but cursor belongs to a different namespace ${cursor.namespace}`)
    }
    if (cursor.session !== session) {
      throw new CommandError(50738, `Cannot run getMore on cursor ${id.toString()}, which was created in ${
        cursor.session === undefined ? 'no session' : 'another session'}`)
    }
    cursor.usedAt = Date.now()
    return cursor
  }

  /** Closes a cursor, of a namespace only if one is given; false if there is none. */
  close (id: Long, namespace?: string): boolean {
    const cursor = this.find(id)
    if (cursor === undefined || (namespace !== undefined && cursor.namespace !== namespace)) return false
    return this.#open.delete(id.toString())
  }

  #closeAll (isClosed: (cursor: Cursor) => boolean): void {
    for (const [key, cursor] of this.#open) if (isClosed(cursor)) this.#open.delete(key)
  }

  endSession (session: string, user: string | undefined): void {
    this.#closeAll((cursor) => cursor.session === session && cursor.user === user)
  }

  /** Closes the cursors of a dropped collection, or of a dropped database. */
  drop (database: string, collection?: string): void {
    this.#closeAll(({ namespace }) => collection === undefined
      ? namespace.startsWith(`${database}.`)
      : namespace === `${database}.${collection}`)
  }

  /** Closes what no client has read for ten minutes. */
  expire (now = Date.now()): void {
    this.#closeAll(({ noTimeout, usedAt }) => !noTimeout && now - usedAt > idleTime)
  }
}
