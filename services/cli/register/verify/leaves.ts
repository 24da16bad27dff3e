import { TILE_WIDTH } from '#common/transparency/tiles.ts'
import { HASH_BYTES, leafHash, TreeBuilder } from '#common/transparency/tree.ts'
import type { ReadRecord } from './chain.ts'
import type { Checkpoints } from './checkpoints.ts'
import type { Findings } from './findings.ts'
import type { HashTiles, StoredEntries } from './tiles.ts'

/** A record that is not what the stored entry commits to: one of them was changed. */
interface Mismatch {
  chain: string
  seq: number
  index: number
  id: string
  fromArchive: boolean
}

interface Sources {
  tree: TreeBuilder
  entries: StoredEntries
  tiles: HashTiles
  checkpoints: Checkpoints
  findings: Findings
}

const MAX_PENDING = 10_000

/**
 * Builds the tree from the stored entries, and compares each with its record. Where they differ, the next
 * checkpoint shows which of the two was changed: the tree of the records grows beside the one of the entries.
 */
export class Leaves {
  #sources: Sources
  #tree: TreeBuilder
  #treeOfRecords: TreeBuilder | undefined
  #pending: Mismatch[] = []
  #mismatches = 0
  /** The index after the last entry that was missing. */
  #missingTo = -1
  #differing: { from: number, to: number, count: number } | undefined

  constructor (sources: Sources) {
    this.#sources = sources
    this.#tree = sources.tree
  }

  get size () { return this.#tree.size }
  get root () { return this.#tree.root }

  /**
   * Adds records `seq` and following of `chain`; undefined stands for one that cannot be read.
   *
   * @returns whether all of them are what their entries commit to
   */
  async add (chain: string, seq: number, records: Array<ReadRecord | undefined>) {
    const before = this.#mismatches
    for (let i = 0; i < records.length;) {
      const stored = await this.#sources.entries.from(this.size)
      const end = Math.min(records.length, i + TILE_WIDTH - this.size % TILE_WIDTH)
      for (let offset = 0; i < end; i++, offset += HASH_BYTES) {
        this.#addOne(chain, seq + i, records[i], stored.subarray(offset, offset + HASH_BYTES))
        if (this.size === this.#sources.checkpoints.nextSize) await this.checkCheckpoints()
      }
    }
    await this.#sources.tiles.checkFull()
    return this.#mismatches === before
  }

  /** Compares the tree with the checkpoints of its size. */
  async checkCheckpoints () {
    if (this.size !== this.#sources.checkpoints.nextSize) return
    const { checkpoints, findings } = this.#sources
    for (const { name, size, root } of await checkpoints.take()) {
      if (root.equals(this.root)) {
        this.#settle('record differs')
      } else if (this.#treeOfRecords && root.equals(this.#treeOfRecords.root)) {
        this.#tree = this.#treeOfRecords
        this.#settle('tile differs')
      } else if (name === `checkpoint ${size}`) {
        this.#differing ??= { from: size, to: size, count: 0 }
        this.#differing.to = size
        this.#differing.count++
      } else {
        findings.add('tree differs', `the entries of the log do not lead to ${name}, of size ${size}`)
      }
    }
  }

  /** Reports what no later checkpoint has settled, and compares the tiles that are not full. */
  async finish () {
    this.#settle('record differs')
    await this.#sources.tiles.checkRest()
    if (!this.#differing) return
    const { from, to, count } = this.#differing
    const which = count === 1 ? `checkpoint ${from}` : `${count} checkpoints from ${from} to ${to}`
    this.#sources.findings.add('tree differs', `the entries of the log do not lead to ${which}`)
  }

  #addOne (chain: string, seq: number, read: ReadRecord | undefined, stored: Buffer) {
    const index = this.size
    if (stored.length < HASH_BYTES) this.#reportMissing(index)
    const entry = stored.length < HASH_BYTES ? read?.commitment ?? Buffer.alloc(HASH_BYTES) : stored
    if (read && !entry.equals(read.commitment)) {
      this.#note({ chain, seq, index, id: read.record.id, fromArchive: read.fromArchive })
    }
    this.#append(entry, read?.commitment)
  }

  #append (entry: Buffer, commitment: Buffer | undefined) {
    this.#treeOfRecords?.append(leafHash(commitment ?? entry))
    const leaf = leafHash(entry)
    this.#tree.append(leaf, (level, index, root) => this.#sources.tiles.add(level, index, root))
  }

  #note (mismatch: Mismatch) {
    this.#treeOfRecords ??= this.#tree.copy()
    this.#mismatches++
    this.#pending.push(mismatch)
    if (this.#pending.length >= MAX_PENDING) this.#settle('record differs')
  }

  #settle (kind: 'record differs' | 'tile differs') {
    this.#treeOfRecords = undefined
    for (const { chain, seq, index, id, fromArchive } of this.#pending.splice(0)) {
      const found = kind === 'record differs' && fromArchive ? 'archive differs' : kind
      this.#sources.findings.addRecord(found, chain, seq, index, id)
    }
  }

  /** Entries that are missing one after the other are one finding. */
  #reportMissing (index: number) {
    if (this.#missingTo !== index) this.#sources.findings.add('tile differs', `entry ${index} is missing`)
    this.#missingTo = index + 1
  }
}
