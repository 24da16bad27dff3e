import type { Collection } from 'mongodb'
import { TILE_HEIGHT, TILE_WIDTH } from '#common/transparency/tiles.ts'
import { HASH_BYTES, leafHash, nodeHash, type GetNode } from '#common/transparency/tree.ts'
import type { Tile } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'

const PAGE_TILES = 64

/** The stored entries of the log, read tile by tile in their order. */
export class StoredEntries {
  #tiles: Collection<Tile>
  #first: number
  #page: Array<Buffer | undefined> = []
  #following: Promise<Array<Buffer | undefined>> | undefined

  /** @param index the first entry */
  constructor (tiles: Collection<Tile>, index: number) {
    this.#tiles = tiles
    this.#first = Math.floor(index / TILE_WIDTH)
    this.#following = this.#read(this.#first)
    this.#following.catch(() => {})
  }

  /** The entries from `index` to the end of its tile as far as they are stored. Indexes never go back. */
  async from (index: number): Promise<Buffer> {
    const n = Math.floor(index / TILE_WIDTH)
    while (this.#following && n >= this.#first + this.#page.length) {
      this.#first += this.#page.length
      this.#page = await this.#following
      this.#following = this.#read(this.#first + PAGE_TILES)
      this.#following.catch(() => {})
    }
    const tile = this.#page[n - this.#first]
    return tile?.subarray(index % TILE_WIDTH * HASH_BYTES) ?? Buffer.alloc(0)
  }

  async #read (first: number) {
    const ids = Array.from({ length: PAGE_TILES }, (_, i) => `0/${first + i}`)
    const tiles = await this.#tiles.find({ _id: { $in: ids } }).toArray()
    const byId = new Map(tiles.map(({ _id, data }) => [_id, data.buffer]))
    return ids.map((id) => byId.get(id) as Buffer | undefined)
  }
}

/** Compares the tiles of hashes with the hashes that the entries lead to. */
export class HashTiles {
  #tiles: Collection<Tile>
  #findings: Findings
  /** By level, from 1: the tile that grows. */
  #growing: Array<{ n: number, first: number, hashes: Buffer[] } | undefined> = []
  #full: Array<{ level: number, n: number, first: number, hashes: Buffer[] }> = []

  constructor (tiles: Collection<Tile>, findings: Findings) {
    this.#tiles = tiles
    this.#findings = findings
  }

  /** The root of the complete subtree over 2^`treeLevel` leaves, in the order of a tree that grows. */
  add (treeLevel: number, index: number, root: Buffer) {
    if (treeLevel === 0 || treeLevel % TILE_HEIGHT > 0) return
    const level = treeLevel / TILE_HEIGHT
    const growing = this.#growing[level] ??=
      { n: Math.floor(index / TILE_WIDTH), first: index % TILE_WIDTH, hashes: [] }
    growing.hashes.push(root)
    if (growing.first + growing.hashes.length < TILE_WIDTH) return
    this.#full.push({ level, ...growing })
    this.#growing[level] = undefined
  }

  /** Compares the tiles that are full. */
  async checkFull () {
    for (const tile of this.#full.splice(0)) await this.#check(tile)
  }

  /** Compares the tiles that are not full yet, which may have grown meanwhile. */
  async checkRest () {
    await this.checkFull()
    for (const [level, growing] of this.#growing.entries()) {
      if (growing && growing.hashes.length > 0) await this.#check({ level, ...growing })
    }
  }

  async #check ({ level, n, first, hashes }: { level: number, n: number, first: number, hashes: Buffer[] }) {
    const stored = await this.#tiles.findOne({ _id: `${level}/${n}` })
    const bytes = stored?.data.buffer as Buffer | undefined
    const own = Buffer.concat(hashes)
    const part = bytes?.subarray(first * HASH_BYTES, first * HASH_BYTES + own.length)
    if (!bytes || !part) this.#findings.add('tile differs', `tile ${level}/${n} is missing`)
    else if (!own.equals(part)) this.#findings.add('tile differs', `tile ${level}/${n}`)
  }
}

/** The nodes of the tree as the stored tiles have them; zeros, and a finding, for one that is missing. */
export function nodesOf (tiles: Collection<Tile>, findings: Findings): GetNode {
  return async (treeLevel, index) => {
    const level = Math.floor(treeLevel / TILE_HEIGHT)
    const width = 2 ** (treeLevel % TILE_HEIGHT)
    const n = Math.floor(index * width / TILE_WIDTH)
    const start = index * width % TILE_WIDTH
    const stored = await tiles.findOne({ _id: `${level}/${n}` })
    const bytes = stored?.data.buffer as Buffer | undefined
    if (!bytes || bytes.length < (start + width) * HASH_BYTES) {
      findings.add('tile differs', `tile ${level}/${n} is ${bytes ? 'too short' : 'missing'}`)
      return Buffer.alloc(HASH_BYTES)
    }
    let hashes = Array.from({ length: width }, (_, i) => {
      const hash = bytes.subarray((start + i) * HASH_BYTES, (start + i + 1) * HASH_BYTES)
      return level === 0 ? leafHash(hash) : hash
    })
    while (hashes.length > 1) {
      hashes = hashes.flatMap((hash, i) => i % 2 === 0 ? [nodeHash(hash, hashes[i + 1]!)] : [])
    }
    return hashes[0]!
  }
}
