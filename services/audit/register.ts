import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { BSON } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { isDuplicateKey, isTransient } from '#common/database-errors.ts'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import { runInOperations } from '#common/telemetry/operation.ts'
import type { AuditRecord, Receipt, StoredRecord } from '#common/audit-record.ts'
import { RecordIdReused, RegisterBusy } from './errors.ts'
import { queryFields } from './queries/fields.ts'
import { RecordQueue, type Entry, type NewRecord } from './queue.ts'

export const BLOCKS = 'blocks'
const GATHERING_MS = 2
const RETRY_MS = 100
/** The size of what the register adds to a record, with some margin. */
const ADDED_BYTES = 256

export const registerIndexes: Index[] = [
  { collection: BLOCKS, key: { chain: 1, firstSeq: 1 } },
  { collection: BLOCKS, key: { from: 1, _id: 1 } },
  { collection: BLOCKS, key: { to: 1, _id: 1 } },
  { collection: BLOCKS, key: { 'records.id': 1 } },
  ...queryFields.map((field) => ({ collection: BLOCKS, key: { [`records.${field}`]: 1, to: 1 } as const }))
]

export interface Block {
  /** `<chain>:<firstSeq>` */
  _id: string
  _shardKey: string
  chain: string
  firstSeq: number
  /** The smallest and the largest `createdDate` of the records. */
  from: Date
  to: Date
  records: StoredRecord[]
}

interface AppendOptions {
  /** Chosen by the caller, who may send the record again. */
  id?: string
  /** Whether the caller sends the record for the first time, so that the register need not search for it. */
  isFirst?: boolean
}

/**
 * The audit register: group commit of records into blocks.
 *
 * While one block is being stored, arriving records are queued for the next, so that a record does not wait
 * when the register is idle and many records share one insert when it is busy. A block is one document: it is
 * stored as a whole or not at all. Each run of a replica has a chain of blocks of its own.
 */
export class Register {
  #chain = randomUUIDv7()
  #nextSeq = 1
  #database: Database
  #log: FastifyBaseLogger
  #queue = new RecordQueue()
  /** Whether the last block had several records. */
  #isBusy = false
  #storing: Promise<void> | undefined
  #closed = false

  constructor (database: Database, log: FastifyBaseLogger) {
    this.#database = database
    this.#log = log
  }

  /**
   * Fulfilled when the record is durable. Records with the same `id` and content are stored once.
   *
   * @throws {RegisterBusy} it is not known whether the record is stored
   * @throws {RecordIdReused} a record with this `id` has other content
   */
  async append (content: AuditRecord, operationId: string, { id, isFirst = false }: AppendOptions = {}) {
    const record: NewRecord = { ...content, id: id ?? randomUUIDv7(), createdDate: new Date(), operationId }
    const pending = this.#queue.pending(record.id)
    if (pending) {
      if (!hasSameContent(pending.record, record)) throw new RecordIdReused()
      return await pending.stored.promise
    }
    if (this.#closed) throw new RegisterBusy()
    const bytes = BSON.calculateObjectSize(content) + ADDED_BYTES
    const { stored } = this.#queue.add(record, id !== undefined && !isFirst, bytes)
    // Outside of the operation of this request: blocks hold the records of others too
    this.#storing ??= runInOperations([], () => this.#storeQueue())
    return await stored.promise
  }

  /** Stores what is queued. Later records are refused. */
  async close () {
    this.#closed = true
    await this.#storing
  }

  async #storeQueue () {
    while (this.#queue.length > 0) {
      if (this.#isBusy && !this.#queue.fillsBlock) await sleep(GATHERING_MS)
      recordMetric('audit.queue.depth', this.#queue.length)
      const entries = this.#queue.takeBlock()
      try {
        const fresh = await runFor(entries, () => this.#resolveRepeats(entries))
        if (fresh.length > 0) await runFor(fresh, () => this.#storeBlock(fresh))
      } catch (error) {
        for (const { stored } of entries) stored.reject(error)
      }
      this.#queue.release(entries)
    }
    this.#storing = undefined
  }

  /** Resolves the entries whose records are stored already, and returns the others. */
  async #resolveRepeats (entries: Entry[]) {
    const ids = entries.filter(({ mayBeRepeat }) => mayBeRepeat).map(({ record }) => record.id)
    if (ids.length === 0) return entries
    const blocks = await this.#database.run(() => this.#blocks.find({ 'records.id': { $in: ids } }).toArray())
    const storedById = new Map(blocks.flatMap(({ records }) => records).map((record) => [record.id, record]))
    return entries.filter(({ record, stored }) => {
      const earlier = storedById.get(record.id)
      if (!earlier) return true
      if (hasSameContent(earlier, record)) stored.resolve(receiptOf(earlier))
      else stored.reject(new RecordIdReused())
      return false
    })
  }

  async #storeBlock (entries: Entry[]) {
    const chain = this.#chain
    const firstSeq = this.#nextSeq
    const records = entries.map(({ record }, i) => ({ ...record, seq: firstSeq + i }))
    this.#isBusy = entries.length > 1
    const span = spanOf(records)
    await this.#insert({ _id: `${chain}:${firstSeq}`, _shardKey: chain, chain, firstSeq, ...span, records })
    this.#nextSeq += entries.length
    recordMetric('audit.batch.size', entries.length)
    recordMetric('audit.batch.wait', performance.now() - entries[0]!.queued)
    for (const { record, stored } of entries) stored.resolve(receiptOf(record))
  }

  /** Retries a block that may be stored, under the same `_id`, until it is: its numbers may be in use. */
  async #insert (block: Block) {
    for (;;) {
      try {
        await this.#database.run(() => this.#blocks.insertOne(block))
        return
      } catch (error) {
        if (isDuplicateKey(error)) return await this.#requireOwn(block)
        if (!(error instanceof DatabaseUnavailable) || !isTransient(error.cause) || this.#closed) throw error
        const counts = { records: block.records.length, queued: this.#queue.length }
        this.#log.warn(counts, 'database unavailable, inserting the block again')
        await sleep(RETRY_MS)
      }
    }
  }

  /** Checks that an earlier attempt stored the block which has the `_id`. Otherwise starts a new chain. */
  async #requireOwn ({ _id, _shardKey, records }: Block) {
    const stored = await this.#database.run(() => this.#blocks.findOne({ _id, _shardKey }))
    if (stored?.records[0]?.id === records[0]!.id) return
    this.#chain = randomUUIDv7()
    this.#nextSeq = 1
    this.#log.error({ block: _id }, 'another block has the id of this one, starting a new chain')
    throw new RegisterBusy()
  }

  get #blocks () {
    return this.#database.collection<Block>(BLOCKS)
  }
}

/** The smallest and the largest date of `records`. */
function spanOf (records: StoredRecord[]) {
  const dates = records.map(({ createdDate }) => createdDate.getTime())
  return { from: new Date(Math.min(...dates)), to: new Date(Math.max(...dates)) }
}

/** Runs `work` as part of the operations of all `entries`. */
function runFor<T> (entries: Entry[], work: () => T) {
  return runInOperations(entries.flatMap(({ operations }) => operations), work)
}

function hasSameContent (a: NewRecord, b: NewRecord) {
  return isDeepStrictEqual(contentOf(a), contentOf(b))
}

function contentOf ({ createdDate, operationId, seq, ...content }: NewRecord & { seq?: number }) {
  return content
}

function receiptOf ({ id, createdDate }: NewRecord): Receipt {
  return { id, createdDate: createdDate.toISOString() }
}
