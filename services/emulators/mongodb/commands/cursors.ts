import { randomBytes } from 'node:crypto'
import { Long } from 'bson'
import { arrayField, documentField, encode, encodeField, join, okField } from '../bson/encoding.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'
import type { Finder } from '../query/finder.ts'
import { arrayOption, collectionName, countOption, wrongType } from './command.ts'
import type { Command, Handler, Reply } from './command.ts'

interface Cursor {
  namespace: string
  finder: Finder
  /** A document that no longer fitted in the last batch. */
  next: Uint8Array | undefined
  /** The id of the user that opened it. */
  user: string | undefined
  usedAt: number
  /** Whether a getMore reads it at this moment. */
  busy: boolean
}

const maxReply = 16 * 1024 * 1024
const idleTime = 10 * 60 * 1000

/** The open cursors of all clients. */
export class Cursors {
  #open = new Map<string, Cursor>()

  get size (): number {
    return this.#open.size
  }

  /** Keeps a cursor open for getMore; returns its id. */
  open (cursor: Cursor): Long {
    cursor.finder.release()
    const id = Long.fromBigInt(BigInt.asIntN(64, randomBytes(8).readBigUInt64BE() >> 1n) | 1n)
    this.#open.set(id.toString(), cursor)
    return id
  }

  /** The open cursor of an id, undefined if there is none. */
  find (id: Value): Cursor | undefined {
    return id instanceof Long ? this.#open.get(id.toString()) : undefined
  }

  close (id: Long): void {
    this.#open.delete(id.toString())
  }

  #closeAll (isClosed: (cursor: Cursor) => boolean): void {
    for (const [key, cursor] of this.#open) if (isClosed(cursor)) this.#open.delete(key)
  }

  /** Closes the cursors of a dropped database. */
  drop (database: string): void {
    this.#closeAll(({ namespace }) => namespace.startsWith(`${database}.`))
  }

  /** Closes what no client has read for ten minutes. */
  expire (now = Date.now()): void {
    this.#closeAll(({ usedAt }) => now - usedAt > idleTime)
  }
}

interface Batch { batch: Uint8Array[], rest: Uint8Array | undefined, done: boolean }

/** Takes documents up to a number and to what one reply may hold. */
async function batchOf (finder: Finder, size: number, first?: Uint8Array): Promise<Batch> {
  const batch: Uint8Array[] = []
  let bytes = 0
  let doc = first
  while (batch.length < size) {
    doc ??= await finder.nextShaped()
    if (doc === undefined) return { batch, rest: undefined, done: true }
    if (bytes + doc.length > maxReply && batch.length > 0) return { batch, rest: doc, done: false }
    batch.push(doc)
    bytes += doc.length + 8
    doc = undefined
  }
  return { batch, rest: doc, done: doc === undefined && finder.finished }
}

function cursorReply (batchName: string, batch: Uint8Array[], id: Long, namespace: string): Uint8Array {
  const cursor = join([arrayField(batchName, batch), encodeField('id', id), encodeField('ns', namespace)])
  return join([documentField('cursor', cursor), okField])
}

/** Answers the first documents that are found, up to `size`, and keeps a cursor for the rest. */
export async function firstBatch (
  { body, client, cursors }: Command, namespace: string, finder: Finder | undefined, size: number
): Promise<Reply> {
  if (finder === undefined) return cursorReply('firstBatch', [], Long.ZERO, namespace)
  const { batch, rest, done } = await batchOf(finder, size)
  const id = done || body.singleBatch === true
    ? Long.ZERO
    : cursors.open({ namespace, finder, next: rest, user: client.user?.id, usedAt: Date.now(), busy: false })
  return cursorReply('firstBatch', batch, id, namespace)
}

/** Answers all of a short list. Throws CommandNotSupported for a client that wants it in parts. */
export function listReply (command: Command, namespace: string, docs: Doc[]): Reply {
  const { cursor } = command.body
  if (cursor !== undefined && !isDocument(cursor)) throw wrongType(command.name, 'cursor', cursor, 'object')
  const size = countOption(command, 'cursor.batchSize', cursor?.batchSize) ?? Infinity
  if (docs.length > size) throw notSupported('a batchSize below the length of the list')
  return cursorReply('firstBatch', docs.map(encode), Long.ZERO, namespace)
}

const getMore: Handler = async (command) => {
  const { name, database, body, cursors } = command
  const { getMore: id, collection } = body
  if (!(id instanceof Long)) throw wrongType(name, name, id, 'long')
  const namespace = `${database}.${collectionName(command, collection)}`
  const size = countOption(command, 'batchSize') || Infinity
  const cursor = cursors.find(id)
  if (cursor === undefined) throw new CommandError('CursorNotFound', `cursor id ${id.toString()} not found`)
  if (cursor.namespace !== namespace) {
    throw new CommandError('Unauthorized', `Requested getMore on namespace '${
      namespace}', but cursor belongs to a different namespace ${cursor.namespace}`)
  }
  if (cursor.busy) throw new CommandError(12051, `cursor id ${id.toString()} is already in use`)
  cursor.usedAt = Date.now()
  cursor.finder.clock.restart(toNumber(body.maxTimeMS))
  cursor.busy = true
  let part: Batch
  try {
    part = await batchOf(cursor.finder, size, cursor.next)
  } catch (error) {
    cursors.close(id)
    throw error
  } finally {
    cursor.busy = false
  }
  cursor.next = part.rest
  if (part.done) cursors.close(id)
  else cursor.finder.release()
  return cursorReply('nextBatch', part.batch, part.done ? Long.ZERO : id, namespace)
}

function cursorId (id: Value): Long {
  const number = toNumber(id)
  if (id instanceof Long) return id
  if (number !== undefined && Number.isInteger(number)) return Long.fromNumber(number)
  throw new CommandError('TypeMismatch', "BSON field 'killCursors.cursors' must hold whole numbers")
}

const killCursors: Handler = (command) => {
  const { database, cursors } = command
  const namespace = `${database}.${collectionName(command)}`
  const killed: Long[] = []
  const notFound: Long[] = []
  for (const id of arrayOption(command, 'cursors').map(cursorId)) {
    const isThere = cursors.find(id)?.namespace === namespace
    if (isThere) cursors.close(id)
    const list = isThere ? killed : notFound
    list.push(id)
  }
  return { cursorsKilled: killed, cursorsNotFound: notFound, cursorsAlive: [], cursorsUnknown: [], ok: 1 }
}

export const cursorCommands: Record<string, Handler> = { getMore, killCursors }
