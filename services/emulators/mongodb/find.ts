import type { Doc, Value } from './bson.ts'
import { decode, encode } from './bson.ts'
import type { Filter } from './filter.ts'
import { matches } from './filter.ts'
import type { KeyPart } from './keys.ts'
import { sortKey } from './keys.ts'
import type { Plan } from './planner.ts'
import { choose, narrower } from './planner.ts'
import type { Project } from './projection.ts'
import { Scan } from './scan.ts'
import type { Collection } from './storage.ts'

export interface Search {
  filter: Filter
  sort?: KeyPart[]
  skip?: number
  limit?: number
  hint?: Value
  project?: Project | undefined
}

export interface Found {
  rid: number
  bytes: Uint8Array
  /** Decoded, if it had to be. */
  doc?: Doc
}

/** The documents that a search finds, in order, one at a time. */
export class Finder {
  collection: Collection
  search: Search
  plan: Plan
  scan: Scan
  returned = 0
  #sort: KeyPart[]
  #toSkip: number
  #left: number
  #sorted: Float64Array | undefined
  #at = 0
  /** Whether documents may have changed since they were matched. */
  #paused = false
  #given = new Set<number>()

  constructor (collection: Collection, search: Search, plan?: Plan) {
    this.collection = collection
    this.search = search
    this.#sort = search.sort ?? []
    this.#toSkip = search.skip ?? 0
    this.#left = search.limit ?? Infinity
    const limit = this.#toSkip + this.#left
    this.plan = plan ?? choose(collection, { filter: search.filter, sort: this.#sort, limit, hint: search.hint })
    this.scan = new Scan(collection, this.plan, this.plan.sorted ? limit : Infinity)
  }

  /** Bytes that this holds between batches. */
  get held (): number {
    return this.#sorted === undefined ? 0 : (this.#sorted.length - this.#at) * 8
  }

  next (): Found | undefined {
    while (this.#left > 0) {
      const found = this.plan.sorted ? this.#matching() : this.#inOrder()
      if (found === undefined) return undefined
      if (this.#toSkip > 0) {
        this.#toSkip--
        continue
      }
      this.#left--
      this.returned++
      return found
    }
    return undefined
  }

  get finished (): boolean {
    return this.#left <= 0
  }

  #matching (): Found | undefined {
    for (;;) {
      const { fallback } = this.plan
      if (fallback !== undefined && this.scan.examined.docs > fallback.after && !this.#paused) {
        delete this.plan.fallback
        if (narrower(this.collection, fallback.plan)) return this.#fallBack(fallback.plan)
      }
      const found = this.scan.next()
      if (found === undefined) return undefined
      if (this.plan.exact) return found
      const doc = decode(found.bytes)
      if (matches(this.search.filter, doc)) {
        if (fallback !== undefined) this.#given.add(found.rid)
        return { ...found, doc }
      }
    }
  }

  /** Goes on with another plan, leaving out what this one has given already. */
  #fallBack (plan: Plan): Found | undefined {
    const { keys, docs } = this.scan.examined
    this.plan = plan
    this.scan = new Scan(this.collection, plan, Infinity)
    this.scan.examined = { keys, docs }
    return this.#inOrder()
  }

  /** From a sort in memory, of which only the places of the documents are kept. */
  #inOrder (): Found | undefined {
    this.#sorted ??= this.#collect()
    while (this.#at < this.#sorted.length) {
      const rid = this.#sorted[this.#at++]!
      const bytes = this.collection.read(rid)
      if (bytes === undefined) continue
      if (this.#paused) {
        const doc = decode(bytes)
        if (!matches(this.search.filter, doc)) continue
        return { rid, bytes, doc }
      }
      return { rid, bytes }
    }
    return undefined
  }

  #collect (): Float64Array {
    const wanted = this.#toSkip + this.#left + this.#given.size
    let entries: Array<{ key: Buffer, rid: number }> = []
    const order = (a: { key: Buffer, rid: number }, b: { key: Buffer, rid: number }): number => Buffer.compare(a.key, b.key) || a.rid - b.rid
    for (let found = this.#matching(); found !== undefined; found = this.#matching()) {
      entries.push({ key: sortKey(found.doc ?? decode(found.bytes), this.#sort), rid: found.rid })
      if (entries.length > 2 * wanted + 1000) entries = entries.sort(order).slice(0, wanted)
    }
    entries.sort(order)
    return Float64Array.from(entries.slice(0, wanted).filter(({ rid }) => !this.#given.has(rid)), ({ rid }) => rid)
  }

  /** A found document as the client gets it. */
  shape (found: Found): Uint8Array {
    const { project, filter } = this.search
    return project === undefined ? found.bytes : encode(project(found.doc ?? decode(found.bytes), filter))
  }

  release (): void {
    this.#paused = true
    this.scan.release()
  }
}

/** How many documents match, looking only at index entries where that suffices. */
export function countMatches (collection: Collection, search: Search): { n: number, finder: Finder, entriesOnly: boolean } {
  const limit = (search.skip ?? 0) + (search.limit ?? Infinity)
  const plan = choose(collection, { filter: search.filter, sort: [], limit, hint: search.hint })
  const finder = new Finder(collection, search, plan)
  let n = 0
  if (plan.exact && plan.index === null) return { n: Math.max(0, Math.min(limit, collection.count) - (search.skip ?? 0)), finder, entriesOnly: true }
  if (plan.exact) {
    const cap = Number.isFinite(limit) ? limit : Number.MAX_SAFE_INTEGER
    for (const { lo, hi } of plan.ranges) n += collection.entries(plan.index!, lo, hi, cap - n)
    finder.scan.examined.keys = n
    return { n: Math.max(0, n - (search.skip ?? 0)), finder, entriesOnly: true }
  }
  while (finder.next() !== undefined) n++
  return { n, finder, entriesOnly: false }
}
