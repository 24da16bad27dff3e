import { TILE_HEIGHT, TILE_WIDTH } from '#common/transparency/tiles.ts'
import { HASH_BYTES, leafHash, nodeHash, rootOfRange, type GetNode } from '#common/transparency/tree.ts'
import { LogDamaged } from './damage.ts'

/** The first `width` hashes of a tile, 32 bytes each: commitments at level 0. */
export type ReadTile = (level: number, index: number, width: number) => Promise<Buffer | undefined>

export interface TileContent {
  level: number
  index: number
  data: Buffer
}

/** The tree of the log as far as it can grow: the tiles that are not full, and those that changed. */
export class TileTree {
  size = 0
  /** By level, the hashes of the tile that is not full; commitments at level 0. */
  #rows: Buffer[][] = []
  #full: TileContent[] = []
  #changed = new Set<number>()

  /** The tree of `size` entries, from its tiles. */
  static async load (size: number, readTile: ReadTile) {
    const tree = new TileTree()
    tree.size = size
    for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
      const width = hashes % TILE_WIDTH
      const index = Math.floor(hashes / TILE_WIDTH)
      tree.#rows[level] = width === 0 ? [] : await readHashes(readTile, level, index, width)
    }
    return tree
  }

  /** @param entry a commitment */
  append (entry: Buffer) {
    this.#add(0, entry)
    this.size++
  }

  root () {
    // Every complete subtree that the tree consists of is in one of the tiles that are not full
    return rootOfRange(0, this.size, async (level, index) => {
      const { tileLevel, start, count } = placeOf(level, index)
      const offset = start % TILE_WIDTH
      return rootOfHashes(tileLevel, this.#rows[tileLevel]!.slice(offset, offset + count))
    })
  }

  /** The tiles that changed since the last call, full ones first, and levels from below. */
  takeTiles (): TileContent[] {
    const partial = [...this.#changed].sort((a, b) => a - b).flatMap((level) => {
      const row = this.#rows[level]!
      const index = Math.floor(this.size / TILE_WIDTH ** (level + 1))
      return row.length > 0 ? [{ level, index, data: Buffer.concat(row) }] : []
    })
    const tiles = [...this.#full, ...partial]
    this.#full = []
    this.#changed.clear()
    return tiles
  }

  #add (level: number, hash: Buffer) {
    const row = this.#rows[level] ??= []
    row.push(hash)
    this.#changed.add(level)
    if (row.length < TILE_WIDTH) return
    const index = Math.floor(this.size / TILE_WIDTH ** (level + 1))
    this.#full.push({ level, index, data: Buffer.concat(row) })
    this.#rows[level] = []
    this.#add(level + 1, rootOfHashes(level, row))
  }
}

/**
 * The nodes of the tree of `size` entries from its tiles. Those of the tiles that were used last, at most
 * `kept`, are remembered: about 60 KiB each.
 */
export function tileNodes (size: number, readTile: ReadTile, kept = Infinity): GetNode {
  const tiles = new Map<string, Promise<Buffer[][]>>()
  return async (level, index) => {
    const { tileLevel, start } = placeOf(level, index)
    const tile = Math.floor(start / TILE_WIDTH)
    const key = `${tileLevel}/${tile}`
    const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** tileLevel) - tile * TILE_WIDTH)
    const rows = tiles.get(key) ?? readHashes(readTile, tileLevel, tile, width).then((hashes) => {
      return rowsOf(tileLevel, hashes)
    })
    tiles.delete(key)
    tiles.set(key, rows)
    if (tiles.size > kept) tiles.delete(tiles.keys().next().value!)
    const height = level % TILE_HEIGHT
    return (await rows)[height]![index % 2 ** (TILE_HEIGHT - height)]!
  }
}

/** Where the hashes are that lead to a node of the tree. */
function placeOf (level: number, index: number) {
  const count = 2 ** (level % TILE_HEIGHT)
  return { tileLevel: Math.floor(level / TILE_HEIGHT), start: index * count, count }
}

async function readHashes (readTile: ReadTile, level: number, index: number, width: number) {
  const data = await readTile(level, index, width)
  if (!data) throw new LogDamaged(`tile ${level}/${index} is missing or has less than ${width} hashes`)
  return Array.from({ length: width }, (_, i) => data.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES))
}

/** The root of 2^n hashes of a tile. */
function rootOfHashes (tileLevel: number, hashes: Buffer[]) {
  return rowsOf(tileLevel, hashes).at(-1)![0]!
}

/** The complete nodes over the hashes of a tile, from the lowest row up. */
function rowsOf (tileLevel: number, hashes: Buffer[]) {
  const rows = [tileLevel === 0 ? hashes.map(leafHash) : hashes]
  for (let row = rows[0]!; row.length > 1; rows.push(row)) {
    const below = row
    row = Array.from({ length: half(below.length) }, (_, i) => nodeHash(below[2 * i]!, below[2 * i + 1]!))
  }
  return rows
}

const half = (length: number) => Math.floor(length / 2)
