import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { Binary } from 'mongodb'
import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import type { StoredRecord } from '#common/audit-record.ts'
import { blockHash, commitmentOf, NO_PREVIOUS } from '#common/transparency/commitment.ts'
import { collections, type Block, type ChainDocument } from '#common/transparency/documents.ts'
import type { NewRecord } from './queue.ts'

const SALT_BYTES = 16

/** Where a chain continues. */
interface ChainTail {
  chain: string
  nextSeq: number
  /** The hash of the last block. */
  previous: Buffer
}

/** The chain of blocks that one run of a replica stores. */
export class Chain implements ChainTail {
  readonly chain = randomUUIDv7()
  nextSeq = 1
  previous = NO_PREVIOUS
  #isAnnounced = false

  get hasBlocks () { return this.nextSeq > 1 }

  /** Makes the chain known, so that its blocks are found. Has to be done before its first block is stored. */
  async announce (database: Database) {
    if (this.#isAnnounced) return
    await announceChain(database, this.chain)
    this.#isAnnounced = true
  }

  /** The next block, with these records. */
  blockOf (contents: NewRecord[]): Block {
    // One call for all salts
    const salts = randomBytes(contents.length * SALT_BYTES)
    const records = contents.map((content, i) => ({
      ...content,
      seq: this.nextSeq + i,
      salt: new Binary(salts.subarray(i * SALT_BYTES, (i + 1) * SALT_BYTES))
    }))
    return { ...blockAt(this), ...spanOf(records), records }
  }

  /** Continues after `block`, which is stored. */
  advance (block: Block, commitments: Buffer[]) {
    Object.assign(this, tailAfter(block, commitments))
  }
}

/** Where the chain of `block` continues after it. */
export function tailAfter (block: Block, commitments = block.records.map(commitmentOf)): ChainTail {
  const { chain, firstSeq, records } = block
  return { chain, nextSeq: firstSeq + records.length, previous: blockHash(block, commitments) }
}

export function announceChain (database: Database, _id: string, startedDate = new Date()) {
  const document: ChainDocument = { _id, _shardKey: _id, startedDate, ended: false }
  return database.insertOnce(collections.chains, document)
}

/**
 * Ends a chain: no block can be stored after the one that this inserts.
 *
 * @returns undefined, or the block that is stored in its place
 */
export async function endChain (database: Database, tail: ChainTail): Promise<Block | undefined> {
  const blocks = () => database.collection<Block>(collections.blocks)
  const now = new Date()
  const end: Block = { ...blockAt(tail), from: now, to: now, records: [], end: true }
  if (await unlessThere(database.run(() => blocks().insertOne(end)))) return undefined
  const { _id, _shardKey } = end
  const stored = await database.run(() => blocks().findOne({ _id, _shardKey }))
  return stored?.end ? undefined : stored ?? undefined
}

function blockAt ({ chain, nextSeq, previous }: ChainTail) {
  const _id = `${chain}:${nextSeq}`
  return { _id, _shardKey: chain, chain, firstSeq: nextSeq, previous: new Binary(previous) }
}

/** The smallest and the largest date of `records`. */
export function spanOf (records: StoredRecord[]) {
  const dates = records.map(({ createdDate }) => createdDate.getTime())
  return { from: new Date(Math.min(...dates)), to: new Date(Math.max(...dates)) }
}
