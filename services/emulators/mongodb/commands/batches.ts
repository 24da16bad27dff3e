import { Int32, Long } from 'bson'
import { arrayField, documentField, encode, encodeField, join, okField } from '../bson/encoding.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Finder } from '../query/finder.ts'
import { arrayOption, collectionName, countOption, sessionId, wrongType } from './command.ts'
import type { Command, Handler, Reply } from './command.ts'
import { batchOf } from './cursors.ts'
import type { Batch, Source } from './cursors.ts'

function cursorReply (batchName: string, batch: Uint8Array[], id: Long, namespace: string): Uint8Array {
  const cursor = join([arrayField(batchName, batch), encodeField('id', id), encodeField('ns', namespace)])
  return join([documentField('cursor', cursor), okField])
}

/** Answers the first documents of a source, up to `size`, and keeps it open for the rest. */
export async function firstBatch (
  command: Command, namespace: string, source: Source, size: number
): Promise<Reply> {
  const { name, body, client, cursors } = command
  const { batch, rest, done } = await batchOf(source, size)
  if (done || body.singleBatch === true) return cursorReply('firstBatch', batch, Long.ZERO, namespace)
  const { id } = cursors.open({
    namespace,
    source,
    next: rest,
    session: sessionId(name, body.lsid),
    user: client.user?.id,
    command: name,
    noTimeout: body.noCursorTimeout === true
  })
  return cursorReply('firstBatch', batch, id, namespace)
}

/** A source of documents that are all there already. */
export function listSource (docs: Uint8Array[]): Source {
  let next = 0
  let held = docs.reduce((sum, doc) => sum + doc.length, 0)
  return {
    next: () => {
      held -= docs[next]?.length ?? 0
      return docs[next++]
    },
    get finished () { return next >= docs.length },
    get held () { return held },
    release () {}
  }
}

export function finderSource (finder: Finder): Source {
  return {
    clock: finder.clock,
    next: async () => {
      const found = await finder.next()
      return found === undefined ? undefined : finder.shape(found)
    },
    get finished () { return finder.finished },
    get held () { return finder.held },
    release: () => finder.release()
  }
}

/** The number of documents in the first batch that a `cursor` option asks for. */
export function batchSizeOf (command: Command, fallback: number): number {
  const { cursor } = command.body
  const size = isDocument(cursor) ? cursor.batchSize : undefined
  return countOption(command, 'cursor.batchSize', size) ?? fallback
}

export function listReply (command: Command, namespace: string, docs: Doc[]): Promise<Reply> {
  return firstBatch(command, namespace, listSource(docs.map(encode)), batchSizeOf(command, Infinity))
}

const getMore: Handler = async (command) => {
  const { name, database, body, cursors } = command
  const id = body.getMore
  if (!(id instanceof Long)) throw wrongType(name, name, id, 'long')
  const { collection } = body
  const isList = typeof collection === 'string' && collection.startsWith('$cmd.')
  const namespace = `${database}.${isList ? collection : collectionName(command, collection)}`
  const cursor = cursors.get(id, namespace, sessionId(name, body.lsid))
  const size = countOption(command, 'batchSize') || Infinity
  if (cursor.busy === true) throw new CommandError(12051, `cursor id ${id.toString()} is already in use`)
  cursor.source.clock?.restart(toNumber(body.maxTimeMS))
  cursor.busy = true
  let part: Batch
  try {
    part = await batchOf(cursor.source, size, cursor.next)
  } catch (error) {
    cursors.close(id)
    throw error
  } finally {
    cursor.busy = false
  }
  cursor.next = part.rest
  if (part.done) cursors.close(id)
  else cursor.source.release()
  return cursorReply('nextBatch', part.batch, part.done ? Long.ZERO : id, namespace)
}

function cursorId (id: Value): Long {
  const number = toNumber(id)
  if (id instanceof Long) return id
  if (number !== undefined && Number.isInteger(number)) return Long.fromNumber(number)
  throw new CommandError('TypeMismatch', "BSON field 'killCursors.cursors' must hold whole numbers")
}

const killCursors: Handler = (command) => {
  const namespace = `${command.database}.${String(command.body.killCursors)}`
  const ids = arrayOption(command, 'cursors').map(cursorId)
  const killed = new Set(ids.filter((id) => command.cursors.close(id, namespace)))
  return {
    cursorsKilled: [...killed],
    cursorsNotFound: ids.filter((id) => !killed.has(id)),
    cursorsAlive: [],
    cursorsUnknown: [],
    ok: new Int32(1)
  }
}

export const cursorCommands: Record<string, Handler> = { getMore, killCursors }
