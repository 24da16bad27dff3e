import { sortKey } from '../bson/keys.ts'
import { decode } from '../bson/encoding.ts'
import type { KeyPart } from '../bson/keys.ts'
import { decodeFields } from '../bson/raw.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Collection, Entry, Position } from '../storage/collection.ts'
import type { Clock } from './clock.ts'
import { fieldNames, matches, matchesAll } from './filter.ts'
import type { Filter } from './filter.ts'
import { choosePlan } from './planner.ts'
import type { Plan } from './planner.ts'
import type { Project } from './projection.ts'

export interface Search {
  filter: Filter
  sort: KeyPart[]
  skip: number
  /** Infinity for no limit. */
  limit: number
  hint: Value
  project: Project | undefined
}

export interface Found {
  rid: number
  bytes: Uint8Array
  /** Decoded, if it had to be. */
  doc?: Doc
}

interface SortEntry { key: Buffer, rid: number }

/** The most bytes that a sort may hold in memory, as in mongod. */
const maxSortBytes = 100 * 1024 * 1024
/** Of larger documents, only the fields that a filter needs are decoded. */
const largeBytes = 2048
/** What an entry takes besides its key. */
const entryBytes = 100

/** A search for all documents that match a filter. */
export function searchOf (search: Partial<Search> & { filter: Filter }): Search {
  return { sort: [], skip: 0, limit: Infinity, hint: undefined, project: undefined, ...search }
}

/** The most documents read at a time. */
const maxChunk = 512

/**
 * Reads the documents of a plan, one after another, each once. It holds no read transaction: it goes on from
 * its last key, so that it sees what changed behind that key and no document twice.
 */
class Scan {
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

/** The documents that a search finds, in order. It holds nothing that keeps others from writing. */
export class Finder {
  readonly plan: Plan
  readonly scan: Scan
  readonly search: Search
  readonly clock: Clock
  #collection: Collection
  /** The fields that a document is read for before it is found. */
  #restNames: Set<string>
  #toSkip: number
  #left: number
  /** The documents of a sort in memory, of which only the ids are kept. */
  #sorted: number[] | undefined
  #next = 0
  /** Whether documents may have changed since they were matched. */
  #paused = false
  /** The collection's count of changes when it was last checked. */
  #changes: number

  constructor (collection: Collection, search: Search, clock: Clock) {
    this.#collection = collection
    this.search = search
    this.clock = clock
    this.#changes = collection.changes
    this.#toSkip = search.skip
    this.#left = search.limit
    const limit = search.skip + search.limit
    this.plan = choosePlan(collection, { ...search, limit })
    this.#restNames = fieldNames(this.plan.rest)
    this.scan = new Scan(collection, this.plan, this.plan.sorted ? limit : Infinity)
  }

  /** Whether it is known that nothing more comes. */
  get finished (): boolean {
    return this.#left <= 0
  }

  async next (): Promise<Found | undefined> {
    this.#refresh()
    while (this.#left > 0) {
      const found = await (this.plan.sorted ? this.#nextMatch() : this.#nextSorted())
      if (found === undefined) return undefined
      if (this.#toSkip-- > 0) continue
      this.#left--
      return found
    }
    return undefined
  }

  /** Drops what was read ahead if anything has changed. Throws QueryPlanKilled if it was dropped. */
  #refresh (): void {
    if (this.#changes === this.#collection.changes) return
    this.#changes = this.#collection.changes
    const { dropped, indexes, namespace } = this.#collection
    if (dropped) throw new CommandError('QueryPlanKilled', `collection dropped: ${namespace}`)
    const { index } = this.plan
    if (index !== null && !indexes.includes(index)) {
      throw new CommandError('QueryPlanKilled', `index dropped: ${index.name}`)
    }
    this.release()
  }

  async #pause (): Promise<void> {
    await this.clock.pause()
    this.#refresh()
  }

  async #nextMatch (): Promise<Found | undefined> {
    for (;;) {
      if (this.clock.due) await this.#pause()
      const found = this.scan.next()
      if (found === undefined || matchesAll(this.plan.rest)) return found
      const isLarge = found.bytes.length > largeBytes
      const doc = isLarge ? decodeFields(found.bytes, this.#restNames) : decode(found.bytes)
      if (matches(this.plan.rest, doc)) return isLarge ? found : { ...found, doc }
    }
  }

  async #nextSorted (): Promise<Found | undefined> {
    this.#sorted ??= await this.#sort()
    while (this.#next < this.#sorted.length) {
      if (this.clock.due) await this.#pause()
      const rid = this.#sorted[this.#next++]!
      const bytes = this.#collection.read(rid)
      if (bytes === undefined) continue
      if (!this.#paused) return { rid, bytes }
      const doc = decode(bytes)
      if (matches(this.search.filter, doc)) return { rid, bytes, doc }
    }
    return undefined
  }

  async #sort (): Promise<number[]> {
    const wanted = this.#toSkip + this.#left
    const sortNames = new Set(this.search.sort.map(({ names }) => names[0]!))
    const order = (a: SortEntry, b: SortEntry): number => Buffer.compare(a.key, b.key) || a.rid - b.rid
    let held = 0
    let entries: SortEntry[] = []
    for (let found = await this.#nextMatch(); found !== undefined; found = await this.#nextMatch()) {
      const key = sortKey(found.doc ?? decodeFields(found.bytes, sortNames), this.search.sort)
      entries.push({ key, rid: found.rid })
      held += key.length + entryBytes
      if (entries.length > 2 * wanted + 1000) {
        entries = (await this.clock.sort(entries, order)).slice(0, wanted)
        held = entries.reduce((sum, entry) => sum + entry.key.length + entryBytes, 0)
      }
      if (held <= maxSortBytes) continue
      throw new CommandError('QueryExceededMemoryLimitNoDiskUseAllowed',
        `Exceeded memory limit for sort of ${maxSortBytes} bytes; this database does not spill to disk`)
    }
    entries = await this.clock.sort(entries, order)
    this.#refresh()
    return entries.slice(0, wanted).map(({ rid }) => rid)
  }

  /** The next document as the client gets it. */
  async nextShaped (): Promise<Uint8Array | undefined> {
    const found = await this.next()
    const { project } = this.search
    if (found === undefined || project === undefined) return found?.bytes
    return project(found.bytes, found.doc)
  }

  /** Drops what was read ahead, before others may write. */
  release (): void {
    this.#paused = true
    this.scan.release()
  }
}

/** How many documents match. */
export async function countMatches (collection: Collection, search: Search, clock: Clock): Promise<number> {
  const { filter, skip, limit } = search
  if (matchesAll(filter)) return Math.max(0, Math.min(limit, collection.count - skip))
  const finder = new Finder(collection, search, clock)
  let n = 0
  while (await finder.next() !== undefined) n++
  return n
}
