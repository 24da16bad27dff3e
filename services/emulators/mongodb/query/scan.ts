import type { Collection, Entry, Position } from '../storage/collection.ts'
import type { Plan } from './planner.ts'

/** The most documents read at a time. */
const maxChunk = 512

/**
 * Reads the documents of a plan, one after another, each once. It holds no read transaction: it goes on from
 * its last key, so that it sees what changed behind that key and no document twice.
 */
export class Scan {
  /** What has been read, as explain shows it. */
  readonly examined = { keys: 0, docs: 0 }
  #collection: Collection
  #plan: Plan
  /** The documents met, if one may have several keys in the ranges. */
  #seen: Set<number> | undefined
  #read: Entry[] = []
  #next = 0
  #chunk: number
  /** The last entry returned of the current range. */
  #after: Position | undefined
  #range = 0
  /** Whether all of the current range has been read. */
  #exhausted = false

  /** `expected` is about how many documents will be taken. */
  constructor (collection: Collection, plan: Plan, expected: number) {
    this.#collection = collection
    this.#plan = plan
    this.#chunk = Math.max(1, Math.min(expected, 128))
    if (plan.index?.multikey) this.#seen = new Set()
  }

  next (): { rid: number, bytes: Uint8Array } | undefined {
    while (this.#next < this.#read.length || this.#readOn()) {
      const [key, rid, bytes] = this.#read[this.#next++]!
      this.#after = { key, rid }
      if (this.#plan.index !== null) this.examined.keys++
      if (this.#seen?.has(rid)) continue
      this.#seen?.add(rid)
      this.examined.docs++
      return { rid, bytes }
    }
    return undefined
  }

  /** Reads the next documents; false if there are no more. */
  #readOn (): boolean {
    const { index, ranges, reverse } = this.#plan
    while (this.#range < ranges.length) {
      if (this.#exhausted) {
        this.#range++
        this.#exhausted = false
        this.#after = undefined
        continue
      }
      const range = ranges[reverse ? ranges.length - 1 - this.#range : this.#range]!
      this.#next = 0
      this.#read = this.#collection.scan(index, range, { after: this.#after, reverse, limit: this.#chunk })
      this.#exhausted = this.#read.length < this.#chunk
      this.#chunk = Math.min(this.#chunk * 2, maxChunk)
      if (this.#read.length > 0) return true
    }
    return false
  }

  /** Drops what was read ahead, before a pause. */
  release (): void {
    if (this.#next < this.#read.length) this.#exhausted = false
    this.#read = []
    this.#next = 0
  }
}
