import { currentOperations, type Operation } from '#common/telemetry/operation.ts'
import type { Receipt, StoredRecord } from '#common/audit-record.ts'
import { RegisterBusy } from './errors.ts'

const BLOCK_RECORDS = 100
const BLOCK_BYTES = 2 ** 20
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
}

/** The records that wait to be stored, oldest first, and those of the block that is being stored. */
export class RecordQueue {
  #waiting: Entry[] = []
  #bytes = 0
  /** By the id of the record. */
  #pending = new Map<string, Entry>()
  #expiry: NodeJS.Timeout | undefined

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
    const operations = currentOperations()
    const entry = { record, mayBeRepeat, bytes, operations, queued: performance.now(), stored }
    this.#waiting.push(entry)
    this.#bytes += bytes
    this.#pending.set(record.id, entry)
    this.#expiry ??= setTimeout(() => this.#rejectExpired(), WAIT_MS).unref()
    return entry
  }

  /** Removes up to 100 records and 1 MiB from the queue, and returns those that have not expired. */
  takeBlock () {
    let bytes = 0
    let count = 0
    for (const entry of this.#waiting) {
      if (count === BLOCK_RECORDS || (count > 0 && bytes + entry.bytes > BLOCK_BYTES)) break
      bytes += entry.bytes
      count++
    }
    this.#bytes -= bytes
    return this.#waiting.splice(0, count).filter((entry) => {
      if (remainingMs(entry) > 0) return true
      // Its caller has got an error, so the record need not be stored
      entry.stored.reject(new RegisterBusy())
      this.release([entry])
      return false
    })
  }

  /** Removes entries that are stored or rejected. */
  release (entries: Entry[]) {
    for (const { record } of entries) this.#pending.delete(record.id)
  }

  close () {
    clearTimeout(this.#expiry)
  }

  /** Rejects the records that have waited too long. Those of the current block may still be stored. */
  #rejectExpired () {
    this.#expiry = undefined
    for (const entry of this.#pending.values()) {
      const ms = remainingMs(entry)
      if (ms > 0) {
        this.#expiry = setTimeout(() => this.#rejectExpired(), ms).unref()
        return
      }
      entry.stored.reject(new RegisterBusy())
    }
  }
}

function remainingMs ({ queued }: Entry) {
  return queued + WAIT_MS - performance.now()
}
