import type { Binary } from 'mongodb'
import type { StoredRecord } from '../audit-record.ts'

/** The documents of the register and of its log, as they are stored in the audit database. */

export const collections = {
  blocks: 'blocks',
  chains: 'chains',
  batches: 'batches',
  tiles: 'tiles',
  checkpoints: 'checkpoints',
  logKeys: 'logKeys'
} as const

/** A record in its block. */
export interface SaltedRecord extends StoredRecord {
  /** 16 random bytes, so that nobody can guess a record from its commitment. Older records have none. */
  salt?: Binary
}

/** Records that were stored together. Those of one run of a replica form a chain. */
export interface Block {
  /** `<chain>:<firstSeq>` */
  _id: string
  _shardKey: string
  chain: string
  firstSeq: number
  /** The hash of the block before it in its chain, 32 zero bytes for the first. Older blocks have none. */
  previous?: Binary
  /** The smallest and the largest `createdDate` of the records; of an end block, when it was made. */
  from: Date
  to: Date
  records: SaltedRecord[]
  /** The chain ends with this block, which has no records. */
  end?: true
}

/** Announces a chain, before its first block is stored. */
export interface ChainDocument {
  _id: string
  _shardKey: string
  startedDate: Date
  /** Whether its end and everything before is in the log. */
  ended: boolean
}

/** The records `from` to `to` of a chain; `end` if the chain ends after them. None if `to` < `from`. */
export interface Span {
  chain: string
  from: number
  to: number
  end?: true
}

/** Records that entered the log together, in the order of the spans. */
export interface Batch {
  /** The index of the first one: the size of the log before. */
  _id: number
  _shardKey: string
  count: number
  spans: Span[]
  /** See `rangesOf`. */
  ranges: string[]
  /** The chains of which the log has records, but not the end; `next` is the first record it has not. */
  open: Array<{ chain: string, next: number }>
  date: Date
}

/** The size of the log after its last batch. */
export const sizeAfter = (last: Batch | null | undefined) => last ? last._id + last.count : 0

/** `open` of the last batch, by chain. */
export const openOf = (last: Batch | null | undefined) =>
  new Map(last?.open.map(({ chain, next }) => [chain, next]))

/** Up to 256 hashes of one level of the tree. */
export interface Tile {
  /** `<level>/<index>` */
  _id: string
  _shardKey: string
  width: number
  /** 32 bytes each: commitments at level 0, and hashes of full tiles of the level below at others. */
  data: Binary
}

export interface StoredCheckpoint {
  /** The size of the tree. */
  _id: number
  _shardKey: string
  root: Binary
  /** The text of the note. */
  text: string
  /** The lines of the log, one for each valid version of its key. */
  signatures: string[]
  /** The lines of witnesses. */
  cosignatures: string[]
  date: Date
  witnessedDate?: Date
}

/** A public key that the log signs or signed with. */
export interface LogKey {
  /** The public key. */
  _id: string
  _shardKey: string
  date: Date
  /** A note about this key, signed with the one before; none for the first. */
  note?: string
}

const RANGE_RECORDS = 256

/** The key of the range of a chain's records that has number `seq`. */
export const rangeOf = (chain: string, seq: number) => `${chain}:${Math.floor((seq - 1) / RANGE_RECORDS)}`

/**
 * The ranges of 256 records of their chains that spans touch. An index of them finds the batch of a record
 * among at most 256.
 */
export function rangesOf (spans: Span[]) {
  const ranges = new Set<string>()
  for (const { chain, from, to } of spans) {
    for (let seq = from; seq < to; seq += RANGE_RECORDS) ranges.add(rangeOf(chain, seq))
    if (to >= from) ranges.add(rangeOf(chain, to))
  }
  return [...ranges]
}
