import type { Database, Index } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import {
  collections, rangeOf, sizeAfter, type Batch, type Block, type ChainDocument, type LogKey, type Tile
} from '#common/transparency/documents.ts'
import { HASH_BYTES } from '#common/transparency/tree.ts'
import { Binary, type Document } from 'mongodb'
import type { TileContent } from './tile-tree.ts'

const PAGE_BLOCKS = 16
const PAGE_BATCHES = 100
const SHARD_RECORDS = 2 ** 24

export const logIndexes: Index[] = [
  { collection: collections.chains, key: { ended: 1 } },
  { collection: collections.logKeys, key: { date: 1 } },
  { collection: collections.batches, key: { ranges: 1 } },
  { collection: collections.checkpoints, key: { witnessedDate: 1 } }
]

/** The value of `_shardKey` in `batches` and `checkpoints`. */
export const shardOf = (size: number) => String(Math.floor(size / SHARD_RECORDS))

/** Reads and writes what the log consists of, but for its checkpoints. */
export class LogStore {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  get database () { return this.#database }

  lastBatch () {
    return this.#run(() => this.#batches.findOne({}, { sort: { _id: -1 } }))
  }

  /** The number of records in the log. */
  async size () {
    return sizeAfter(await this.lastBatch())
  }

  /** The batches from the one that starts at `index` on. */
  async * batchesFrom (index: number): AsyncGenerator<Batch, void> {
    for (let from = index; ;) {
      const page = await this.#run(() => {
        return this.#batches.find({ _id: { $gte: from } }).sort({ _id: 1 }).limit(PAGE_BATCHES).toArray()
      })
      yield * page
      if (page.length < PAGE_BATCHES) return
      from = page.at(-1)!._id + 1
    }
  }

  /** Returns false where another batch, or this one after a lost answer, is stored at its index already. */
  insertBatch (batch: Batch) {
    return this.#insert(collections.batches, batch)
  }

  /** Whether the log has the first record of a chain, before index `before`. */
  async hasChain (chain: string, before = Infinity) {
    const filter = { ranges: rangeOf(chain, 1) }
    const found = await this.#run(() => this.#batches.find(filter, { projection: { _id: 1 } }).toArray())
    return found.some(({ _id }) => _id < before)
  }

  /** The last batch that begins before `index`. */
  batchBefore (index: number) {
    return this.#run(() => this.#batches.findOne({ _id: { $lt: index } }, { sort: { _id: -1 } }))
  }

  /** The index of record `seq` of a chain; undefined while the log does not have it. */
  async indexOf (chain: string, seq: number) {
    return (await this.indexesOf([{ chain, seq }]))[0]
  }

  /** The index of each of some records, as `indexOf` has it, with one question for all of them. */
  async indexesOf (places: Array<{ chain: string, seq: number }>) {
    const ranges = [...new Set(places.map(({ chain, seq }) => rangeOf(chain, seq)))]
    const found = await this.#run(() =>
      this.#batches.find({ ranges: { $in: ranges } }, { projection: { spans: 1 } }).toArray())
    const spans = found.flatMap(startsOf)
    return places.map(({ chain, seq }) => {
      const span = spans.find((one) => one.chain === chain && one.from <= seq && seq <= one.to)
      return span && span.index + seq - span.from
    })
  }

  /** The blocks of a chain that begin with record `seq`, which is the first of a block, to record `last`. */
  async * blocksFrom (chain: string, seq: number, last?: number): AsyncGenerator<Block, void> {
    for (let from = seq; ;) {
      const firstSeq = { $gte: from, ...(last !== undefined && { $lte: last }) }
      const page = await this.#run(() => this.#blocks
        .find({ chain, firstSeq })
        .sort({ chain: 1, firstSeq: 1 })
        .limit(PAGE_BLOCKS)
        .toArray())
      yield * page
      if (page.length < PAGE_BLOCKS) return
      from = page.at(-1)!.firstSeq + 1
    }
  }

  /** The first block of a chain from record `seq` on, if there is one. */
  firstBlocks (chain: string, seq: number) {
    return this.#run(() => this.#blocks
      .find({ chain, firstSeq: { $gte: seq } })
      .sort({ chain: 1, firstSeq: 1 })
      .limit(1)
      .toArray())
  }

  lastBlock (chain: string) {
    return this.#run(() => this.#blocks.findOne({ chain }, { sort: { chain: -1, firstSeq: -1 } }))
  }

  /** The block and position of the record that was stored first with an id. */
  async findRecord (id: string) {
    const found = await this.#run(() => this.#blocks.find({ 'records.id': id }).toArray())
    return found
      .flatMap(({ chain, records }) => records.map((record) => ({ chain, record })))
      .filter(({ record }) => record.id === id)
      .sort((a, b) => a.record.createdDate.getTime() - b.record.createdDate.getTime())[0]
  }

  /** The first block of the chain that follows `chain` in the order of their ids. */
  firstBlockAfter (chain: string) {
    const sort = { chain: 1, firstSeq: 1 } as const
    return this.#run(() => this.#blocks.findOne({ chain: { $gt: chain } }, { sort }))
  }

  /** Adds the dates that queries need to a block that is older than they are. */
  setDates ({ _id, _shardKey }: Block, dates: { from: Date, to: Date }) {
    return this.#run(() => this.#blocks.updateOne({ _id, _shardKey }, { $set: dates }))
  }

  openChains () {
    return this.#run(() => this.#chains.find({ ended: false }).toArray())
  }

  setEnded (chain: string) {
    const key = { _id: chain, _shardKey: chain }
    return this.#run(() => this.#chains.updateOne(key, { $set: { ended: true } }))
  }

  /** The first `width` hashes of a tile; undefined if it has not as many. */
  async readTile (level: number, index: number, width: number) {
    const _id = `${level}/${index}`
    const tile = await this.#run(() => this.#tiles.findOne({ _id, _shardKey: _id }))
    if (!tile || tile.width < width) return undefined
    return Buffer.from(tile.data.value().subarray(0, width * HASH_BYTES))
  }

  /** Stores a tile, unless a wider one is stored. */
  async writeTile ({ level, index, data }: TileContent) {
    const _id = `${level}/${index}`
    const width = data.length / HASH_BYTES
    const tile: Tile = { _id, _shardKey: _id, width, data: new Binary(data) }
    const narrower = { _id, _shardKey: _id, width: { $lt: width } }
    for (;;) {
      const replace = () => this.#tiles.replaceOne(narrower, tile, { upsert: true })
      if (await unlessThere(this.#run(replace))) return
      // It exists: as wide, or inserted at the same time by another replica and perhaps narrower
      const projection = { width: 1 }
      const stored = await this.#run(() => this.#tiles.findOne({ _id, _shardKey: _id }, { projection }))
      if (stored && stored.width >= width) return
    }
  }

  keys () {
    return this.#run(() => this.#keys.find().sort({ date: 1 }).toArray())
  }

  insertKey (key: LogKey) {
    return this.#insert(collections.logKeys, key)
  }

  /** Returns false where a document with its `_id` exists. */
  #insert (collection: string, document: Document) {
    return unlessThere(this.#run(() => this.#database.collection(collection).insertOne(document)))
  }

  #run<T> (operation: () => Promise<T>) {
    return this.#database.run(operation)
  }

  get #blocks () { return this.#database.collection<Block>(collections.blocks) }
  get #batches () { return this.#database.collection<Batch>(collections.batches) }
  get #chains () { return this.#database.collection<ChainDocument>(collections.chains) }
  get #keys () { return this.#database.collection<LogKey>(collections.logKeys) }
  get #tiles () { return this.#database.collection<Tile>(collections.tiles) }
}

/** The spans of a batch, each with the index of its first record. */
function startsOf ({ _id, spans }: Pick<Batch, '_id' | 'spans'>) {
  let next = _id
  return spans.map((span) => {
    const index = next
    next += span.to - span.from + 1
    return { ...span, index }
  })
}
