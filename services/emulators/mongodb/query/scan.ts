import type { Collection, Position } from '../storage/collection.ts'
import type { Plan } from './planner.ts'

export interface ScannedDocument { rid: number, bytes: Uint8Array }

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
  #read: Array<{ key: Uint8Array | undefined, rid: number, bytes: Uint8Array }> = []
  #next = 0
  #chunk: number
  /** The last document returned of the current range, or of the walk. */
  #after: { key: Uint8Array | undefined, rid: number } | undefined
  #range = 0
  /** Whether all of the current range has been read. */
  #exhausted = false
  #ended = false

  /** `expected` is about how many documents will be taken. */
  constructor (collection: Collection, plan: Plan, expected: number) {
    this.#collection = collection
    this.#plan = plan
    this.#chunk = Math.max(1, Math.min(expected, 128))
    if (plan.index?.multikey) this.#seen = new Set()
  }

  next (): ScannedDocument | undefined {
    while (this.#next < this.#read.length || this.#readOn()) {
      const found = this.#read[this.#next++]!
      this.#after = found
      if (found.key !== undefined) this.examined.keys++
      if (this.#seen?.has(found.rid)) continue
      this.#seen?.add(found.rid)
      this.examined.docs++
      return found
    }
    return undefined
  }

  /** Reads the next documents; false if there are no more. */
  #readOn (): boolean {
    for (; !this.#ended; this.#nextRange()) {
      if (this.#exhausted) continue
      this.#next = 0
      this.#read = this.#plan.index === null ? this.#walk() : this.#readRange()
      this.#exhausted = this.#read.length < this.#chunk
      this.#chunk = Math.min(this.#chunk * 2, maxChunk)
      if (this.#read.length > 0) return true
    }
    return false
  }

  #nextRange (): void {
    this.#range++
    this.#exhausted = false
    this.#after = undefined
    this.#ended = this.#range >= this.#plan.ranges.length
  }

  #walk (): Array<{ key: undefined, rid: number, bytes: Uint8Array }> {
    return this.#collection.walk(this.#after?.rid, this.#plan.reverse, this.#chunk)
      .map(([rid, bytes]) => ({ key: undefined, rid, bytes }))
  }

  #readRange (): Array<{ key: Uint8Array, rid: number, bytes: Uint8Array }> {
    const { index, ranges, reverse } = this.#plan
    const range = ranges[reverse ? ranges.length - 1 - this.#range : this.#range]
    if (range === undefined) return []
    return this.#collection.scan(index!, range, {
      after: this.#after as Position | undefined, reverse, limit: this.#chunk
    }).map(([key, rid, bytes]) => ({ key, rid, bytes }))
  }

  /** Drops what was read ahead, before a pause. */
  release (): void {
    if (this.#next < this.#read.length) this.#exhausted = false
    this.#read = []
    this.#next = 0
  }
}
