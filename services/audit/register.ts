import { randomUUIDv7 } from 'node:crypto'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { BSON } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { isDuplicateKey, isTransient } from '#common/database-errors.ts'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import { runInOperations } from '#common/telemetry/operation.ts'
import type { AuditRecord, Receipt } from '#common/audit-record.ts'
import { commitmentOf } from '#common/transparency/commitment.ts'
import { collections, type Block, type SaltedRecord } from '#common/transparency/documents.ts'
import { Chain, endChain, tailAfter } from './chain.ts'
import { RecordIdReused, RegisterBusy } from './errors.ts'
import { queryFields } from './queries/fields.ts'
import { RecordQueue, type Entry, type NewRecord } from './queue.ts'

export type { Block }
export const BLOCKS = collections.blocks
const GATHERING_MS = 2
const RETRY_MS = 100
/** The size of what the register adds to a record, with some margin. */
const ADDED_BYTES = 256

export const registerIndexes: Index[] = [
  { collection: BLOCKS, key: { chain: 1, firstSeq: 1 } },
  { collection: BLOCKS, key: { from: 1, _id: 1 } },
  { collection: BLOCKS, key: { to: 1, _id: 1 } },
  { collection: BLOCKS, key: { 'records.id': 1 } },
  // For `attemptsWithoutOutcome`
  { collection: BLOCKS, key: { 'records.replica': 1 } },
  { collection: BLOCKS, key: { 'records.attemptOf': 1 } },
  ...queryFields.map((field) => ({ collection: BLOCKS, key: { [`records.${field}`]: 1, to: 1 } as const }))
]

/** Called with each block that is stored, and the commitments of its records. */
type OnStored = (block: Block, commitments: Buffer[]) => void

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
  #chain = new Chain()
  #database: Database
  #log: FastifyBaseLogger
  #onStored: OnStored
  #queue = new RecordQueue()
  /** Whether the last block had several records. */
  #isBusy = false
  #storing: Promise<void> | undefined
  #closed = false

  constructor (database: Database, log: FastifyBaseLogger, onStored: OnStored = () => {}) {
    this.#database = database
    this.#log = log
    this.#onStored = onStored
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

  /** Stores what is queued and ends the chain. Later records are refused. */
  async close () {
    this.#closed = true
    await this.#storing
    try {
      await this.#endChain()
    } catch (err) {
      this.#log.warn({ err }, 'the chain is not ended; another replica ends it')
    }
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
    this.#isBusy = entries.length > 1
    const contents = entries.map(({ record }) => record)
    for (;;) {
      const chain = this.#chain
      await chain.announce(this.#database)
      const block = chain.blockOf(contents)
      const inserted = this.#insert(block)
      // Awaited below, after what costs no time while the database stores the block
      inserted.catch(() => {})
      await setImmediate()
      const commitments = block.records.map(commitmentOf)
      if (!await inserted) {
        this.#chain = new Chain()
        continue
      }
      chain.advance(block, commitments)
      this.#onStored(block, commitments)
      break
    }
    recordMetric('audit.batch.size', entries.length)
    recordMetric('audit.batch.wait', performance.now() - entries[0]!.queued)
    for (const { record, stored } of entries) stored.resolve(receiptOf(record))
  }

  /**
   * Retries a block that may be stored, under the same `_id`, until it is: its numbers may be in use.
   *
   * @returns false if another block has the `_id`, so that this one is not stored
   */
  async #insert (block: Block) {
    for (;;) {
      try {
        // What is undefined would be stored as null, which is not what the commitments are made of
        await this.#database.run(() => this.#blocks.insertOne(block, { ignoreUndefined: true }))
        return true
      } catch (error) {
        if (isDuplicateKey(error)) return await this.#isStored(block)
        if (!(error instanceof DatabaseUnavailable) || !isTransient(error.cause) || this.#closed) throw error
        const counts = { records: block.records.length, queued: this.#queue.length }
        this.#log.warn(counts, 'database unavailable, inserting the block again')
        await sleep(RETRY_MS)
      }
    }
  }

  /** Whether an earlier attempt stored the block which has the `_id`. */
  async #isStored ({ _id, _shardKey, records }: Block) {
    const stored = await this.#database.run(() => this.#blocks.findOne({ _id, _shardKey }))
    if (stored?.records[0]?.id === records[0]!.id) return true
    if (stored?.end) this.#log.warn({ block: _id }, 'the chain was ended, starting a new chain')
    else this.#log.error({ block: _id }, 'another block has the id of this one, starting a new chain')
    return false
  }

  /** Ends the chain, after a block of which it is not known whether it was stored too. */
  async #endChain () {
    if (!this.#chain.hasBlocks) return
    for (let stored; (stored = await endChain(this.#database, this.#chain));) {
      Object.assign(this.#chain, tailAfter(stored))
    }
  }

  get #blocks () {
    return this.#database.collection<Block>(BLOCKS)
  }
}

/** Runs `work` as part of the operations of all `entries`. */
function runFor<T> (entries: Entry[], work: () => T) {
  return runInOperations(entries.flatMap(({ operations }) => operations), work)
}

function hasSameContent (a: NewRecord, b: NewRecord) {
  return isDeepStrictEqual(contentOf(a), contentOf(b))
}

function contentOf ({ createdDate, operationId, seq, salt, ...content }: NewRecord & Partial<SaltedRecord>) {
  return content
}

function receiptOf ({ id, createdDate }: NewRecord): Receipt {
  return { id, createdDate: createdDate.toISOString() }
}
