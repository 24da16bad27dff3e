import { isUtf8 } from 'node:buffer'

// Splits inputs of any size into resources. Only the one that is being read is in memory.

/** A line of NDJSON, a whole document or an entry of a Bundle, and where it is. */
export interface Piece {
  /** Undefined if it is not UTF-8 or too long. */
  text?: string
  /** The input and its line, or the number of its piece. */
  place: string
}

type Chunks = AsyncIterable<Buffer>

const MAX_PIECE = 64 * 2 ** 20
/** Within so many bytes it shows whether an input has one document a line. */
const MAX_PEEKED = 2 ** 20
const LINE_FEED = 0x0a

/** The pieces of an input: its lines, or else those of a document that has several lines. */
export async function * pieces (chunks: Chunks, name: string): AsyncGenerator<Piece> {
  const iterator = withoutMark(chunks)[Symbol.asyncIterator]()
  const peeked: Buffer[] = []
  let bytes = 0
  let first: string | undefined
  while (first === undefined && bytes < MAX_PEEKED) {
    const { value, done } = await iterator.next()
    if (done) break
    peeked.push(value)
    bytes += value.length
    first = firstLine(Buffer.concat(peeked))
  }
  const all = followedBy(peeked, iterator)
  const isDocument = first === undefined ? bytes >= MAX_PEEKED : /^\s*[[{]\s*$/.test(first) || opens(first)
  yield * isDocument ? documents(all, name) : lines(all, name)
}

/** The first line that is not blank, if it is complete. */
function firstLine (content: Buffer) {
  return /^\s*(\S.*)\n/.exec(content.toString('latin1'))?.[1]
}

/** Whether a line is the beginning of a document of several lines, not a broken one. */
function opens (line: string) {
  try {
    JSON.parse(line)
    return false
  } catch {
    return /^\{\s*"resourceType"\s*:\s*"\w+"\s*,\s*$/.test(line)
  }
}

async function * followedBy (first: Buffer[], rest: AsyncIterator<Buffer>) {
  yield * first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

/** The chunks without the byte order mark at their beginning. */
async function * withoutMark (chunks: Chunks) {
  let start: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of chunks) {
    if (start === undefined) yield chunk
    else {
      start = Buffer.concat([start, chunk])
      if (start.length < 3) continue
      yield start.subarray(start.indexOf('\ufeff') === 0 ? 3 : 0)
      start = undefined
    }
  }
  if (start && start.length > 0) yield start
}

async function * lines (chunks: Chunks, name: string): AsyncGenerator<Piece> {
  let number = 1
  const line = new Piecewise()
  const end = () => line.end(`${name}:${number++}`)
  for await (const chunk of chunks) {
    let start = 0
    for (let feed = chunk.indexOf(LINE_FEED); feed !== -1; feed = chunk.indexOf(LINE_FEED, start)) {
      line.add(chunk.subarray(start, feed))
      const piece = end()
      if (piece) yield piece
      start = feed + 1
    }
    line.add(chunk.subarray(start))
  }
  const last = end()
  if (last) yield last
}

/** The bytes of one piece. */
class Piecewise {
  #parts: Buffer[] = []
  #bytes = 0

  add (part: Buffer) {
    this.#bytes += part.length
    if (this.#bytes <= MAX_PIECE) this.#parts.push(part)
    else this.#parts = []
  }

  /** Undefined if there is only white space. */
  end (place: string): Piece | undefined {
    const content = Buffer.concat(this.#parts)
    const isWhole = this.#bytes <= MAX_PIECE && isUtf8(content)
    this.#parts = []
    this.#bytes = 0
    if (!isWhole) return { place }
    const text = content.toString().trim()
    return text === '' ? undefined : { text, place }
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENS = new Set([0x5b, 0x7b])
const CLOSES = new Set([0x5d, 0x7d])

/**
 * The documents of `chunks`, one after the other, and before each the items of its property "entry", which it
 * has not then: a Bundle may be larger than memory.
 */
async function * documents (chunks: Chunks, name: string): AsyncGenerator<Piece> {
  let number = 1
  const end = (piece: Piecewise) => piece.end(`${name}#${number++}`)
  const rest = new Piecewise()
  const item = new Piecewise()
  let depth = 0
  let inString = false
  let escaped = false
  let inEntries = false
  // The string that was read last, to find the name of an array
  let string: number[] = []
  for await (const chunk of chunks) {
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (inString) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) inString = false
        else if (depth === 1 && string.length < 8) string.push(byte)
        continue
      }
      if (byte === QUOTE) {
        inString = true
        if (depth === 1) string = []
      } else if (OPENS.has(byte)) {
        if (depth === 2 && inEntries) start = at
        depth++
        if (depth === 2 && byte === 0x5b && String.fromCharCode(...string) === 'entry') {
          inEntries = true
          rest.add(chunk.subarray(start, at + 1))
          start = at + 1
        }
      } else if (CLOSES.has(byte)) {
        depth--
        if (depth === 2 && inEntries) {
          item.add(chunk.subarray(start, at + 1))
          start = at + 1
          const piece = end(item)
          if (piece) yield piece
        } else if (depth === 1 && inEntries) {
          inEntries = false
          start = at
        } else if (depth <= 0) {
          rest.add(chunk.subarray(start, at + 1))
          start = at + 1
          depth = 0
          const piece = end(rest)
          if (piece) yield piece
        }
      }
    }
    // Between entries there are only commas and white space
    if (depth > 2 && inEntries) item.add(chunk.subarray(start))
    else if (!inEntries) rest.add(chunk.subarray(start))
  }
  for (const piece of [item, rest].map(end)) if (piece) yield piece
}
