import type { Plan, Range } from './planner.ts'
import type { Collection, Row } from '../storage/storage.ts'

/** What a scan has looked at, as explain tells it. */
export interface Examined {
  keys: number
  docs: number
}

/** One range of an index, read in chunks; between chunks it holds nothing but its place. */
class Stream {
  range: Range
  done = false
  #scan: Scan
  #rows: Row[] = []
  #at = 0
  #chunk: number
  #after: { key: Uint8Array, rid: number } | undefined

  constructor (scan: Scan, range: Range, chunk: number) {
    this.#scan = scan
    this.range = range
    this.#chunk = chunk
  }

  peek (): Row | undefined {
    if (this.#at < this.#rows.length) return this.#rows[this.#at]
    if (this.done) return undefined
    const { collection, plan, keysOnly } = this.#scan
    this.#rows = collection.scan(plan.index!, this.range.lo, this.range.hi, this.#after, plan.reverse, this.#chunk, keysOnly)
    this.#at = 0
    this.done = this.#rows.length < this.#chunk
    this.#chunk = Math.min(this.#chunk * 2, 512)
    return this.#rows[0]
  }

  take (): void {
    const [key, rid] = this.#rows[this.#at++]!
    this.#after = { key, rid }
  }

  release (): void {
    if (this.#at < this.#rows.length) this.done = false
    this.#rows = []
    this.#at = 0
  }
}

/**
 * Walks what a plan says, one document after another, each once.
 * It holds no read transaction: it goes on from its last key, so that it sees what changed behind that key and no document twice.
 */
export class Scan {
  collection: Collection
  plan: Plan
  keysOnly: boolean
  examined: Examined = { keys: 0, docs: 0 }
  parts: Scan[] = []
  #streams: Stream[] = []
  #current = 0
  #seen: Set<number> | undefined
  #walked: Array<[rid: number, bytes: Uint8Array]> = []
  #at = 0
  #after: number | undefined
  #chunk: number
  #ended = false

  constructor (collection: Collection, plan: Plan, expected: number, keysOnly = false) {
    this.collection = collection
    this.plan = plan
    this.keysOnly = keysOnly
    this.#chunk = Math.max(1, Math.min(expected, 128))
    if (plan.branches !== undefined) {
      this.parts = plan.branches.map((branch) => new Scan(collection, branch, expected, keysOnly))
      this.#seen = new Set()
    } else if (plan.index !== null) {
      const chunk = plan.merge ? Math.max(4, Math.ceil(this.#chunk / plan.ranges.length)) : this.#chunk
      this.#streams = (plan.reverse ? [...plan.ranges].reverse() : plan.ranges).map((range) => new Stream(this, range, chunk))
      if (plan.index.multikey) this.#seen = new Set()
    }
  }

  /** The next document, undefined at the end. Its bytes are missing with `keysOnly`. */
  next (): { rid: number, bytes: Uint8Array } | undefined {
    for (;;) {
      const found = this.plan.branches !== undefined ? this.#nextOfParts() : this.plan.index === null ? this.#nextDocument() : this.#nextEntry()
      if (found === undefined) return undefined
      if (this.#seen !== undefined) {
        if (this.#seen.has(found.rid)) continue
        this.#seen.add(found.rid)
      }
      if (!this.keysOnly && this.plan.branches === undefined) this.examined.docs++
      return found
    }
  }

  #nextOfParts (): { rid: number, bytes: Uint8Array } | undefined {
    for (; this.#current < this.parts.length; this.#current++) {
      const found = this.parts[this.#current]!.next()
      this.examined.keys = this.parts.reduce((n, part) => n + part.examined.keys, 0)
      this.examined.docs = this.parts.reduce((n, part) => n + part.examined.docs, 0)
      if (found !== undefined) return found
    }
    return undefined
  }

  #nextDocument (): { rid: number, bytes: Uint8Array } | undefined {
    if (this.#at >= this.#walked.length) {
      if (this.#ended) return undefined
      this.#walked = this.collection.walk(this.#after, this.plan.reverse, this.#chunk)
      this.#at = 0
      this.#ended = this.#walked.length < this.#chunk
      this.#chunk = Math.min(this.#chunk * 2, 512)
      if (this.#walked.length === 0) return undefined
    }
    const [rid, bytes] = this.#walked[this.#at++]!
    this.#after = rid
    return { rid, bytes }
  }

  #nextEntry (): { rid: number, bytes: Uint8Array } | undefined {
    let chosen: Stream | undefined
    if (this.plan.merge) {
      let lowest: Buffer | undefined
      for (const stream of this.#streams) {
        const row = stream.peek()
        if (row === undefined) continue
        const suffix = row[0].subarray(stream.range.prefix) as Buffer
        const c = lowest === undefined ? -1 : Buffer.compare(suffix, lowest)
        if (this.plan.reverse && lowest !== undefined ? c > 0 : c < 0) {
          lowest = suffix
          chosen = stream
        }
      }
    } else {
      while (this.#current < this.#streams.length && this.#streams[this.#current]!.peek() === undefined) this.#current++
      chosen = this.#streams[this.#current]
    }
    const row = chosen?.peek()
    if (row === undefined) return undefined
    chosen!.take()
    this.examined.keys++
    return { rid: row[1], bytes: row[2] }
  }

  /** Lets go of what was read ahead, before a pause. */
  release (): void {
    for (const part of this.parts) part.release()
    for (const stream of this.#streams) stream.release()
    if (this.#at < this.#walked.length) this.#ended = false
    this.#walked = []
    this.#at = 0
  }
}
