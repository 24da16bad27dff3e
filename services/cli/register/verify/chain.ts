import type { Collection } from 'mongodb'
import { blockHash, commitmentOf, NO_PREVIOUS } from '#common/transparency/commitment.ts'
import type { Block, SaltedRecord } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'

const PAGE_BLOCKS = 32
/** Where pages have few records, so that round trips do not limit the rate. */
const LONG_PAGE_BLOCKS = 256
const FEW_RECORDS = 500
const MAX_MISSING = 1_000
/** More than a block ever has. */
const MAX_RECORDS = 100_000
const BACKWARDS = { chain: -1, firstSeq: -1 } as const

/** Finds an archived block: the one that has record `seq` of `chain`, whose entry is `index`. */
type FindArchived = (chain: string, seq: number, index: number) => Promise<Block | undefined>

/** A record with its commitment; `fromArchive` tells where it was read. */
export interface ReadRecord {
  record: SaltedRecord
  commitment: Buffer
  fromArchive: boolean
}

interface ReadBlock {
  block: Block
  /** By their position in the block; undefined where a record is missing. */
  records: Array<ReadRecord | undefined>
  /** The sequence number after the block. */
  next: number
}

/** The blocks of one chain in their order, each checked against the one before it. */
export class Chain {
  readonly id: string
  #pages: BlockPages
  #findArchived: FindArchived
  #findings: Findings
  /** The block of which records are yet to be read. */
  #current: ReadBlock | undefined
  /** The sequence number after the last block. */
  #position = -Infinity
  /** The hash of the last block, and the sequence number after it; unknown after a finding. */
  #last: { hash: Buffer, next: number } | undefined

  constructor (id: string, from: number, blocks: Collection<Block>, find: FindArchived, findings: Findings) {
    this.id = id
    this.#findArchived = find
    this.#findings = findings
    this.#pages = new BlockPages(blocks, id, from)
    if (from === 1) this.#last = { hash: NO_PREVIOUS, next: 1 }
  }

  /** The chain from record `from` on, checked against the block before. */
  static async open (...args: ConstructorParameters<typeof Chain>) {
    const [id, from, blocks] = args
    const chain = new Chain(...args)
    if (from === 1) return chain
    const before = await blocks.findOne({ chain: id, firstSeq: { $lt: from } }, { sort: BACKWARDS })
    if (!before) return chain
    const next = before.firstSeq + before.records.length
    if (next > from) chain.#pages = new BlockPages(blocks, id, before.firstSeq)
    else chain.#last = { hash: blockHash(before, before.records.map(commitmentOf)), next }
    return chain
  }

  /**
   * The records from `seq` on, at most to `to` and of one block; undefined stands for a record that is
   * missing. `index` is the entry of `seq`.
   */
  async read (seq: number, to: number, index: number): Promise<Array<ReadRecord | undefined>> {
    const current = await this.#blockOf(seq, index)
    if (!current) {
      const following = await this.#pages.peek()
      const end = Math.min(to, seq + MAX_MISSING - 1, following ? following.firstSeq - 1 : Infinity)
      this.#last = undefined
      return new Array(end - seq + 1).fill(undefined)
    }
    const { block, records, next } = current
    const end = Math.min(to + 1, next)
    if (end === next) this.#current = undefined
    return records.slice(seq - block.firstSeq, end - block.firstSeq)
  }

  /** Checks the end block of a chain whose next sequence number would be `seq`. */
  async end (seq: number) {
    const block = await this.#next(seq)
    if (!block?.end) {
      return this.#findings.add('chain broken', `chain ${this.id} has no end at ${seq}`)
    }
    this.#begin(block, false)
    this.#current = undefined
  }

  /** Reports blocks that are stored before `seq`, where the chain continues, and are not of it. */
  async finish (seq: number) {
    await this.#next(seq - 0.5)
  }

  /** A record of the current block is not what it was: its hash says nothing about the next block. */
  distrust () {
    this.#last = undefined
  }

  /** Frees what is read ahead. */
  release () {
    this.#pages.release()
  }

  async #blockOf (seq: number, index: number) {
    if (this.#current) return this.#current
    const stored = await this.#next(seq)
    if (stored) return this.#begin(stored, false)
    const archived = await this.#findArchived(this.id, seq, index)
    return archived && this.#begin(archived, true)
  }

  /** The stored block that has record `seq` or ends the chain there, after reporting others before it. */
  async #next (seq: number) {
    for (;;) {
      const block = await this.#pages.peek()
      if (!block || block.firstSeq > seq) return undefined
      this.#pages.take()
      const isNext = block.firstSeq >= this.#position
      const end = block.firstSeq + block.records.length
      if (isNext && (block.end ? block.firstSeq === seq : end > seq)) return block
      this.#findings.add('block inserted', `block ${block._id} is not where chain ${this.id} continues`)
    }
  }

  #begin (block: Block, fromArchive: boolean): ReadBlock {
    const last = this.#last
    const isCut = last?.next === block.firstSeq && block.previous && !last.hash.equals(block.previous.buffer)
    if (isCut) this.#findings.add('chain broken', `block ${block._id} does not follow the block before it`)
    const { records, isComplete } = this.#recordsOf(block, fromArchive)
    const next = block.firstSeq + records.length
    const commitments = records.map((read) => read?.commitment ?? NO_PREVIOUS)
    this.#last = isComplete && !isCut
      ? { hash: blockHash(block, commitments), next }
      : undefined
    this.#position = Math.max(next, block.firstSeq)
    this.#current = { block, records, next }
    return this.#current
  }

  /** The records by their position, and whether they are all there. */
  #recordsOf (block: Block, fromArchive: boolean) {
    const records: Array<ReadRecord | undefined> = []
    let last = -1
    let isInOrder = true
    let isComplete = block._id === `${block.chain}:${block.firstSeq}`
    if (!isComplete) this.#findings.add('chain broken', `block ${block._id} has the id of another place`)
    for (const record of block.records) {
      const position = record.seq - block.firstSeq
      if (!Number.isInteger(position) || position < 0 || position > MAX_RECORDS) continue
      isInOrder &&= position > last
      isComplete &&= position === last + 1
      last = position
      records[position] ??= { record, commitment: commitmentOf(record), fromArchive }
    }
    if (!isInOrder) this.#findings.add('chain broken', `block ${block._id} has records out of order`)
    this.#checkDates(block)
    return { records: Array.from(records), isComplete }
  }

  /** The queries of the register find blocks by these dates. */
  #checkDates ({ _id, records, from, to }: Block) {
    if (!from || !to || records.length === 0) return
    const times = records.map(({ createdDate }) => createdDate.getTime())
    if (from.getTime() === Math.min(...times) && to.getTime() === Math.max(...times)) return
    this.#findings.add('chain broken', `block ${_id} has dates that are not those of its records`)
  }
}

/** Reads blocks in pages of up to 16 MiB, the next page while one is used. */
class BlockPages {
  #blocks: Collection<Block>
  #chain: string
  /** The sequence number that the next page starts after, or that the first one starts with. */
  #after: { $gt: number } | { $gte: number } | undefined
  #page: Block[] = []
  #position = 0
  #limit = PAGE_BLOCKS
  #following: Promise<Block[]> | undefined

  constructor (blocks: Collection<Block>, chain: string, from: number) {
    this.#blocks = blocks
    this.#chain = chain
    // From the lowest number, so that a block that was inserted before the first is found
    this.#after = from === 1 ? undefined : { $gte: from }
  }

  async peek (): Promise<Block | undefined> {
    if (this.#position === this.#page.length) {
      this.#page = await (this.#following ?? this.#read())
      this.#position = 0
      const count = this.#page.reduce((sum, { records }) => sum + records.length, 0)
      this.#limit = count > FEW_RECORDS ? PAGE_BLOCKS : LONG_PAGE_BLOCKS
      const last = this.#page.at(-1)
      if (last) this.#after = { $gt: last.firstSeq }
      this.#following = this.#page.length > 1 ? this.#read() : undefined
      // Awaited later
      this.#following?.catch(() => {})
    }
    return this.#page[this.#position]
  }

  take () {
    this.#position++
  }

  release () {
    const next = this.#page[this.#position]
    if (next) this.#after = { $gte: next.firstSeq }
    this.#page = []
    this.#position = 0
    this.#following = undefined
  }

  #read () {
    const filter = { chain: this.#chain, ...this.#after && { firstSeq: this.#after } }
    return this.#blocks.find(filter, { singleBatch: true, batchSize: this.#limit })
      .sort({ chain: 1, firstSeq: 1 }).limit(this.#limit).toArray()
  }
}
