import type { Index } from '#common/database.ts'
import type { StoredRecord } from '#common/audit-record.ts'

/** The documents of the review, as they are stored in the audit database. */

export const reviewCollections = {
  review: 'review',
  counters: 'counters'
} as const

export const reviewIndexes: Index[] = [
  { collection: reviewCollections.counters, key: { actor: 1, _id: 1 } }
]

/** How far the review has followed the log. There is one. */
export interface ReviewDocument {
  _id: string
  _shardKey: string
  /** The index of the next record of the log: the first one of a batch. */
  position: number
  /** Records before this index were stored before there was a review: they are counted, without findings. */
  findingsFrom: number
  /** The process that follows the log at present, and until when no other one does. */
  holder?: string
  heldUntil: Date
}

/** How many records of an hour name an actor. */
export interface CounterDocument {
  /** `<hour> <actor>`, with the hour as 2026-11-28T13; so their order is that of the hours. */
  _id: string
  _shardKey: string
  /** Undefined for records without one. */
  actor?: string
  /** Records of the log before this index are counted. */
  upTo: number
  total: number
  /** By type, operation and outcome of the records; see `counterKey`. */
  counts: Record<string, number>
}

/** A record and its index in the log. */
export interface LogEntry {
  index: number
  record: StoredRecord
}

/** Records that entered the log together, all of them. */
export interface EntryBatch {
  /** The index of the first one, and the one after the last one. */
  start: number
  end: number
  entries: LogEntry[]
}
