import type { Doc, Value } from '../bson/bson.ts'
import { decode, encode } from '../bson/bson.ts'
import type { Filter } from './filter.ts'
import { matches } from './filter.ts'
import type { KeyPart } from '../bson/keys.ts'
import { sortKey } from '../bson/keys.ts'
import { checkStage } from '../commands/aggregate.ts'
import type { Clock } from './clock.ts'
import { CommandError } from '../errors.ts'
import type { Plan } from './planner.ts'
import { choose, narrower } from './planner.ts'
import type { Project } from './projection.ts'
import { Scan } from './scan.ts'
import type { Collection } from '../storage/storage.ts'

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
  clock: Clock
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
  /** The collection's count of changes when this last looked. */
  #changes: number

  constructor (collection: Collection, search: Search, clock: Clock, plan?: Plan) {
    this.clock = clock
    this.#changes = collection.changes
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

  async next (): Promise<Found | undefined> {
    this.#refresh()
    while (this.#left > 0) {
      const found = await (this.plan.sorted ? this.#matching() : this.#inOrder())
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

  /** Lets go of what was read ahead if anything has changed since. Throws QueryPlanKilled if the index has gone. */
  #refresh (): void {
    const { collection, plan } = this
    if (this.#changes === collection.changes) return
    this.#changes = collection.changes
    const used = [plan, ...plan.branches ?? []].map(({ index }) => index).filter((index) => index !== null)
    if (collection.dropped || used.some(({ id }) => !collection.indexes.some((index) => index.id === id))) {
      throw new CommandError('QueryPlanKilled', `collection or index dropped: ${collection.namespace}`)
    }
    this.release()
  }

  async #pause (): Promise<void> {
    await this.clock.pause()
    this.#refresh()
  }

  async #matching (): Promise<Found | undefined> {
    for (;;) {
      if (this.clock.due) await this.#pause()
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
  async #fallBack (plan: Plan): Promise<Found | undefined> {
    const { keys, docs } = this.scan.examined
    this.plan = plan
    this.scan = new Scan(this.collection, plan, Infinity)
    this.scan.examined = { keys, docs }
    return this.#inOrder()
  }

  /** From a sort in memory, of which only the places of the documents are kept. */
  async #inOrder (): Promise<Found | undefined> {
    this.#sorted ??= await this.#collect()
    while (this.#at < this.#sorted.length) {
      if (this.clock.due) await this.#pause()
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

  async #collect (): Promise<Float64Array> {
    const wanted = this.#toSkip + this.#left + this.#given.size
    let held = 0
    let entries: Array<{ key: Buffer, rid: number }> = []
    const order = (a: { key: Buffer, rid: number }, b: { key: Buffer, rid: number }): number => Buffer.compare(a.key, b.key) || a.rid - b.rid
    for (let found = await this.#matching(); found !== undefined; found = await this.#matching()) {
      const key = sortKey(found.doc ?? decode(found.bytes), this.#sort)
      entries.push({ key, rid: found.rid })
      held += key.length + 100
      if (entries.length > 2 * wanted + 1000) {
        entries = (await this.clock.sort(entries, order)).slice(0, wanted)
        held = entries.reduce((sum, entry) => sum + entry.key.length + 100, 0)
      }
      checkStage('sort', held)
    }
    entries = await this.clock.sort(entries, order)
    this.#refresh()
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
export async function countMatches (collection: Collection, search: Search, clock: Clock): Promise<{ n: number, finder: Finder, entriesOnly: boolean }> {
  const limit = (search.skip ?? 0) + (search.limit ?? Infinity)
  const plan = choose(collection, { filter: search.filter, sort: [], limit, hint: search.hint })
  const finder = new Finder(collection, search, clock, plan)
  let n = 0
  if (plan.exact && plan.index === null) return { n: Math.max(0, Math.min(limit, collection.count) - (search.skip ?? 0)), finder, entriesOnly: true }
  if (plan.exact) {
    const cap = Number.isFinite(limit) ? limit : Number.MAX_SAFE_INTEGER
    for (const { lo, hi } of plan.ranges) n += collection.entries(plan.index!, lo, hi, cap - n)
    finder.scan.examined.keys = n
    return { n: Math.max(0, n - (search.skip ?? 0)), finder, entriesOnly: true }
  }
  while (await finder.next() !== undefined) n++
  return { n, finder, entriesOnly: false }
}
