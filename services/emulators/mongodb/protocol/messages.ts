import { decode, elements, encode } from '../bson/encoding.ts'
import { isDocument } from '../bson/values.ts'
import type { Doc } from '../bson/values.ts'
import { CommandError, ProtocolError } from '../errors.ts'

export const maxMessage = 48000000
const opReply = 1
const opQuery = 2004
const opCompressed = 2012
const opMsg = 2013
const checksumPresent = 1
const moreToCome = 2

/** A request: `sequences` holds its lists of documents encoded, from sections and from its body alike. */
export interface Request {
  id: number
  legacy: boolean
  /** Whether the client waits for no reply. */
  silent: boolean
  body: Doc
  sequences: Map<string, Uint8Array[]>
}

const lists = new Set(['documents', 'updates', 'deletes'])

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
    if (error instanceof ProtocolError || error instanceof CommandError) throw error
    throw new ProtocolError((error as Error).message)
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
  const sequences = new Map<string, Uint8Array[]>()
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
  return { id, legacy: false, silent: (flags & moreToCome) !== 0, ...command(body, sequences) }
}

/** Reads a section of documents; returns where it ends. */
function readSequence (
  message: Buffer, start: number, end: number, sequences: Map<string, Uint8Array[]>
): number {
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

/** Decodes a command but for its lists of documents. */
function command (
  bytes: Buffer, sequences: Map<string, Uint8Array[]>
): { body: Doc, sequences: Map<string, Uint8Array[]> } {
  const fields = elements(bytes)
  let rest = bytes
  for (const field of fields) {
    if (field.type !== 4 || !lists.has(field.name)) continue
    const array = bytes.subarray(field.value, field.end)
    sequences.set(field.name, elements(array).map((item) => {
      if (item.type !== 3) {
        throw new CommandError('TypeMismatch',
          `BSON field '${fields[0]!.name}.${field.name}.${item.name}' is the wrong type, ` +
          "expected type 'object'")
      }
      return array.subarray(item.value, item.end)
    }))
    rest = without(bytes, field.start, field.end)
  }
  return { body: decode(rest), sequences }
}

function without (bytes: Buffer, start: number, end: number): Buffer {
  const out = Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)])
  out.writeInt32LE(out.length, 0)
  return out
}

function parseQuery (id: number, message: Buffer): Request {
  const nameEnd = message.indexOf(0, 20)
  if (nameEnd < 0) throw new ProtocolError('no collection name')
  const name = message.toString('utf8', 20, nameEnd)
  if (!name.endsWith('.$cmd')) throw new ProtocolError('OP_QUERY is for commands only')
  const body = decode(document(message, nameEnd + 9, message.length))
  const query = isDocument(body.$query) ? body.$query : body
  return { id, legacy: true, silent: false, body: { ...query, $db: name.slice(0, -5) }, sequences: new Map() }
}

let lastId = 0

/** The reply to a request, its document encoded already or not. */
export function replyTo (request: Request, reply: Doc | Uint8Array): Buffer {
  const body = reply instanceof Uint8Array ? reply : encode(reply)
  const header = request.legacy ? 36 : 21
  const message = Buffer.allocUnsafe(header + body.length)
  lastId = (lastId + 1) & 0x7fffffff
  message.writeInt32LE(message.length, 0)
  message.writeInt32LE(lastId, 4)
  message.writeInt32LE(request.id, 8)
  message.writeInt32LE(request.legacy ? opReply : opMsg, 12)
  if (request.legacy) {
    message.fill(0, 16, 32)
    message.writeInt32LE(8, 16)
    message.writeInt32LE(1, 32)
  } else message.fill(0, 16, 21)
  message.set(body, header)
  return message
}
