import { decodeInput, encode } from '../bson/encoding.ts'
import { isDocument } from '../bson/values.ts'
import type { Doc } from '../bson/values.ts'
import { ProtocolError } from '../errors.ts'

export const maxMessage = 48000000
const opReply = 1
const opQuery = 2004
const opCompressed = 2012
const opMsg = 2013
const checksumPresent = 1
const moreToCome = 2

/** A request, whose documents are encoded still: its body, and the lists of documents in further sections. */
export interface Request {
  id: number
  /** The database of an OP_QUERY, whose body does not name it. */
  database?: string
  /** Whether the client waits for no reply. */
  silent: boolean
  body: Buffer
  sequences: Map<string, Uint8Array[]>
}

/**
 * Reads one whole message. Throws ProtocolError for what is none.
 * https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
export function parseMessage (message: Buffer): Request {
  const id = message.readInt32LE(4)
  const opcode = message.readInt32LE(12)
  try {
    if (opcode === opMsg) return parseMsg(id, message)
    if (opcode === opQuery) return parseQuery(id, message)
  } catch (error) {
    throw error instanceof ProtocolError ? error : new ProtocolError((error as Error).message)
  }
  throw new ProtocolError(
    opcode === opCompressed ? 'compression was not agreed on' : `unknown opcode ${opcode}`)
}

function document (message: Buffer, at: number, end: number): Buffer {
  if (at + 5 > end) throw new ProtocolError('message ends inside a document')
  const size = message.readInt32LE(at)
  if (size < 5 || at + size > end || message[at + size - 1] !== 0) {
    throw new ProtocolError('document of wrong size')
  }
  return message.subarray(at, at + size)
}

function parseMsg (id: number, message: Buffer): Request {
  const flags = message.readUInt32LE(16)
  if (flags & 0xfffc) throw new ProtocolError('unknown required flag')
  const end = message.length - (flags & checksumPresent ? 4 : 0)
  let body: Buffer | undefined
  const sequences: Request['sequences'] = new Map()
  for (let at = 20; at < end;) {
    const kind = message[at++]
    if (kind === 0) {
      if (body !== undefined) throw new ProtocolError('two bodies')
      body = document(message, at, end)
      at += body.length
    } else if (kind === 1) at = readSequence(message, at, end, sequences)
    else throw new ProtocolError(`unknown section kind ${kind}`)
  }
  if (body === undefined) throw new ProtocolError('no body')
  return { id, silent: (flags & moreToCome) !== 0, body, sequences }
}

/** Reads a section of documents; returns where it ends. */
function readSequence (message: Buffer, start: number, end: number, sequences: Request['sequences']): number {
  const sectionEnd = start + message.readInt32LE(start)
  if (sectionEnd > end || sectionEnd < start + 5) throw new ProtocolError('section of wrong size')
  const nameEnd = message.indexOf(0, start + 4)
  if (nameEnd < 0 || nameEnd >= sectionEnd) throw new ProtocolError('section without a name')
  const docs: Uint8Array[] = []
  for (let at = nameEnd + 1; at < sectionEnd;) {
    const doc = document(message, at, sectionEnd)
    docs.push(doc)
    at += doc.length
  }
  sequences.set(message.toString('utf8', start + 4, nameEnd), docs)
  return sectionEnd
}

function parseQuery (id: number, message: Buffer): Request {
  const nameEnd = message.indexOf(0, 20)
  if (nameEnd < 0) throw new ProtocolError('no collection name')
  const name = message.toString('utf8', 20, nameEnd)
  if (!name.endsWith('.$cmd')) throw new ProtocolError('OP_QUERY is for commands only')
  const body = document(message, nameEnd + 9, message.length)
  return { id, silent: false, database: name.slice(0, -'.$cmd'.length), body, sequences: new Map() }
}

/** The decoded body of a request. Throws InvalidBSON, Overflow, CommandNotSupported. */
export function bodyOf ({ body, database }: Request): Doc {
  const doc = decodeInput(body)
  if (database === undefined) return doc
  return { ...isDocument(doc.$query) ? doc.$query : doc, $db: database }
}

let lastId = 0

/** The reply to a request, its document encoded already or not. */
export function replyTo (request: Request, reply: Doc | Uint8Array): Buffer {
  const body = reply instanceof Uint8Array ? reply : encode(reply)
  const legacy = request.database !== undefined
  const header = legacy ? 36 : 21
  const message = Buffer.allocUnsafe(header + body.length)
  lastId = (lastId + 1) & 0x7fffffff
  message.writeInt32LE(message.length, 0)
  message.writeInt32LE(lastId, 4)
  message.writeInt32LE(request.id, 8)
  message.writeInt32LE(legacy ? opReply : opMsg, 12)
  if (legacy) {
    message.fill(0, 16, 32)
    message.writeInt32LE(8, 16)
    message.writeInt32LE(1, 32)
  } else message.fill(0, 16, 21)
  message.set(body, header)
  return message
}
