import { currentOperations, type Operation } from '#common/telemetry/operation.ts'
import type { Receipt, StoredRecord } from '#common/audit-record.ts'
import { RegisterBusy } from './errors.ts'

const BLOCK_RECORDS = 100
const BLOCK_BYTES = 2 ** 20
/**
 * The dates of one block are at most this far apart, whatever the clock does: queries by date need not look
 * further around a block.
 */
export const BLOCK_SPAN_MS = 60_000
const QUEUE_RECORDS = 10_000
const QUEUE_BYTES = 2 ** 25

/** Callers give up after 5 s, so a record that has waited this long is refused before. */
const WAIT_MS = 4_000

export type NewRecord = Omit<StoredRecord, 'seq'>

/** A record that waits to be stored. */
export interface Entry {
  record: NewRecord
  /** Whether the caller chose the id and may have sent the record before. */
  mayBeRepeat: boolean
  bytes: number
  /** The operations that wait for the record. */
  operations: readonly Operation[]
  queued: number
  stored: PromiseWithResolvers<Receipt>
  /** Rejects a record that has waited too long, which may still be stored if its block is being stored. */
  expiry: NodeJS.Timeout
}

/** The records that wait to be stored, oldest first, and those of the block that is being stored. */
export class RecordQueue {
  #waiting: Entry[] = []
  #bytes = 0
  /** By the id of the record. */
  #pending = new Map<string, Entry>()

  get length () {
    return this.#waiting.length
  }

  get fillsBlock () {
    return this.#waiting.length >= BLOCK_RECORDS
  }

  /** The entry of a record that is not stored yet. */
  pending (id: string) {
    return this.#pending.get(id)
  }

  /** @throws {RegisterBusy} the queue is full */
  add (record: NewRecord, mayBeRepeat: boolean, bytes: number): Entry {
    if (this.#waiting.length >= QUEUE_RECORDS || this.#bytes + bytes > QUEUE_BYTES) throw new RegisterBusy()
    const stored = Promise.withResolvers<Receipt>()
    const expiry = setTimeout(() => stored.reject(new RegisterBusy()), WAIT_MS).unref()
    const operations = currentOperations()
    const entry = { record, mayBeRepeat, bytes, operations, queued: performance.now(), stored, expiry }
    this.#waiting.push(entry)
    this.#bytes += bytes
    this.#pending.set(record.id, entry)
    return entry
  }

  /** Removes up to 100 records and 1 MiB of one minute, and returns those that have not expired. */
  takeBlock () {
    const { count, bytes } = this.#nextBlock()
    this.#bytes -= bytes
    const isExpired = ({ queued }: Entry) => queued + WAIT_MS <= performance.now()
    const { waiting = [], expired = [] } =
      Object.groupBy(this.#waiting.splice(0, count), (entry) => isExpired(entry) ? 'expired' : 'waiting')
    // Their callers have got an error, so they need not be stored
    for (const { stored } of expired) stored.reject(new RegisterBusy())
    this.release(expired)
    return waiting
  }

  /** How many of the records that wait fit into one block, and their size. */
  #nextBlock () {
    let bytes = 0
    let count = 0
    let earliest = Infinity
    let latest = -Infinity
    for (const entry of this.#waiting) {
      const date = entry.record.createdDate.getTime()
      earliest = Math.min(earliest, date)
      latest = Math.max(latest, date)
      const isTooLarge = bytes + entry.bytes > BLOCK_BYTES || latest - earliest > BLOCK_SPAN_MS
      if (count === BLOCK_RECORDS || (count > 0 && isTooLarge)) break
      bytes += entry.bytes
      count++
    }
    return { count, bytes }
  }

  /** Removes entries that are stored or rejected. */
  release (entries: Entry[]) {
    for (const { record, expiry } of entries) {
      clearTimeout(expiry)
      this.#pending.delete(record.id)
    }
  }
}
