import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { BSON } from 'mongodb'
import type { Database, Index } from '#common/database.ts'
import { isDuplicateKey, isTransient } from '#common/database-errors.ts'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import { runInOperations, currentOperations, type Operation } from '#common/telemetry/operation.ts'
import { RecordIdReused, RegisterBusy } from './errors.ts'
import type { AuditRecord, Receipt, StoredRecord } from '#common/audit-record.ts'

const BLOCKS = 'blocks'
const BLOCK_RECORDS = 100
const BLOCK_BYTES = 2 ** 20
const GATHERING_MS = 2
/** What the register adds to a record, with some to spare. */
const OWN_BYTES = 256
const QUEUE_RECORDS = 10_000
const QUEUE_BYTES = 2 ** 25

/** A caller gives up after 5 s, so a record that waited this long is refused while it can still be told. */
const WAIT_MS = 4_000

export const registerIndexes: Index[] = [
  { collection: BLOCKS, key: { chain: 1, firstSeq: 1 } },
  { collection: BLOCKS, key: { 'records.id': 1 } },
  { collection: BLOCKS, key: { 'records.operationId': 1 } },
  { collection: BLOCKS, key: { 'records.resource.id': 1 } },
  { collection: BLOCKS, key: { 'records.resource.patientId': 1 } },
  { collection: BLOCKS, key: { 'records.disclosed.id': 1 } }
]

export interface Block {
  /** `<chain>:<firstSeq>` */
  _id: string
  _shardKey: string
  chain: string
  firstSeq: number
  records: StoredRecord[]
}

export interface AppendOptions {
  /** Chosen by the caller, who may send it again. */
  id?: string
  /** The caller has not sent it before, so that the register need not look whether it has it. */
  isFirst?: boolean
  /** What it takes in a block at the most. */
  bytes?: number
}

interface Entry {
  record: Omit<StoredRecord, 'seq'>
  /** The caller chose the id, and may have sent it before. */
  mayStand: boolean
  bytes: number
  /** The operations that wait for it. */
  operations: readonly Operation[]
  queued: number
  expires: number
  stored: PromiseWithResolvers<Receipt>
}

/**
 * The audit register: group commit of records into blocks.
 *
 * While one block is being stored, arriving records gather for the next, so that no record waits when the
 * register is idle and many share one insert when it is busy. A block is one document and so stands as a
 * whole or not at all; its chain is this run of this replica.
 */
export class Register {
  #chain = randomUUIDv7()
  #database: Database
  #log: FastifyBaseLogger
  #queue: Entry[] = []
  #queueBytes = 0
  #pending = new Map<string, Entry>()
  #nextSeq = 1
  /** Whether several records were in the last block. */
  #shared = false
  #storing: Promise<void> | undefined
  #expiring: NodeJS.Timeout | undefined
  #closed = false

  constructor (database: Database, log: FastifyBaseLogger) {
    this.#database = database
    this.#log = log
  }

  /**
   * Fulfilled when the record is durable. The same `id` with the same content is recorded once.
   *
   * @throws {RegisterBusy} the record does not stand, or is not known to stand
   * @throws {RecordIdReused}
   */
  async append (content: AuditRecord, operationId: string, { id, isFirst = false, bytes = BSON.calculateObjectSize(content) + OWN_BYTES }: AppendOptions = {}): Promise<Receipt> {
    const record = { ...content, id: id ?? randomUUIDv7(), createdDate: new Date(), operationId } as Entry['record']
    const pending = this.#pending.get(record.id)
    if (pending) {
      if (!sameContent(pending.record, record)) throw new RecordIdReused()
      return await pending.stored.promise
    }

    if (this.#closed || this.#queue.length >= QUEUE_RECORDS || this.#queueBytes + bytes > QUEUE_BYTES) throw new RegisterBusy()
    const queued = performance.now()
    const entry = { record, mayStand: id !== undefined && !isFirst, bytes, operations: currentOperations(), queued, expires: queued + WAIT_MS, stored: Promise.withResolvers<Receipt>() }
    this.#queue.push(entry)
    this.#queueBytes += bytes
    this.#pending.set(record.id, entry)
    // It stores what others append too
    this.#storing ??= runInOperations([], () => this.#storeQueue())
    this.#expiring ??= setTimeout(() => this.#expire(), WAIT_MS).unref()
    return await entry.stored.promise
  }

  /** Stores what is queued, then takes nothing more. */
  async close () {
    this.#closed = true
    await this.#storing
    clearTimeout(this.#expiring)
  }

  /** Tells those who have waited for long enough, the oldest first, and looks again when the next will have. */
  #expire () {
    this.#expiring = undefined
    for (const { expires, stored } of this.#pending.values()) {
      const left = expires - performance.now()
      if (left > 0) {
        this.#expiring = setTimeout(() => this.#expire(), left).unref()
        return
      }
      stored.reject(new RegisterBusy())
    }
  }

  async #storeQueue () {
    while (this.#queue.length > 0) {
      await this.#gathered()
      recordMetric('audit.queue.depth', this.#queue.length)
      const entries = this.#takeBlock()
      try {
        const fresh = await serveAll(entries, () => this.#answerRepeats(entries))
        if (fresh.length > 0) await serveAll(fresh, () => this.#storeBlock(fresh))
      } catch (error) {
        for (const { stored } of entries) stored.reject(error)
      }
      for (const { record } of entries) this.#pending.delete(record.id)
    }
    this.#storing = undefined
  }

  /** Where the last block was shared, lets those join who come at about the same time. */
  async #gathered () {
    if (this.#shared && this.#queue.length < BLOCK_RECORDS) await sleep(GATHERING_MS)
  }

  #takeBlock () {
    let bytes = 0
    let count = 0
    for (const entry of this.#queue) {
      if (count === BLOCK_RECORDS || (count > 0 && bytes + entry.bytes > BLOCK_BYTES)) break
      bytes += entry.bytes
      count++
    }
    this.#queueBytes -= bytes
    return this.#queue.splice(0, count).filter((entry) => this.#isAwaited(entry))
  }

  // Its caller was told that it is not recorded, so that record can still be spared
  #isAwaited ({ expires, record, stored }: Entry) {
    if (performance.now() < expires) return true
    this.#pending.delete(record.id)
    stored.reject(new RegisterBusy())
    return false
  }

  /** Answers the records that stand already, and returns the others. */
  async #answerRepeats (entries: Entry[]) {
    const ids = entries.filter(({ mayStand }) => mayStand).map(({ record }) => record.id)
    if (ids.length === 0) return entries
    const blocks = await this.#database.run(() => this.#blocks.find({ 'records.id': { $in: ids } }).toArray())
    const standing = new Map(blocks.flatMap(({ records }) => records).map((record) => [record.id, record]))
    return entries.filter(({ record, stored }) => {
      const before = standing.get(record.id)
      if (!before) return true
      if (sameContent(before, record)) stored.resolve(receipt(before))
      else stored.reject(new RecordIdReused())
      return false
    })
  }

  async #storeBlock (entries: Entry[]) {
    const firstSeq = this.#nextSeq
    const records = entries.map(({ record }, i) => ({ ...record, seq: firstSeq + i }))
    this.#shared = entries.length > 1
    const chain = this.#chain
    const block: Block = { _id: `${chain}:${firstSeq}`, _shardKey: chain, chain, firstSeq, records }
    await this.#insert(block)
    this.#nextSeq += entries.length
    recordMetric('audit.batch.size', entries.length)
    recordMetric('audit.batch.wait', performance.now() - entries[0]!.queued)
    for (const { record, stored } of entries) stored.resolve(receipt(record))
  }

  // A block whose fate is unknown is sent again, under the same _id, until it stands: its sequence numbers may be taken
  async #insert (block: Block) {
    for (;;) {
      try {
        await this.#database.run(() => this.#blocks.insertOne(block))
        return
      } catch (error) {
        if (isDuplicateKey(error)) return await this.#requireOwn(block)
        if (!(error instanceof DatabaseUnavailable) || !isTransient(error.cause) || this.#closed) throw error
        this.#log.warn({ records: block.records.length, queued: this.#queue.length }, 'the register waits for its database')
        await sleep(100)
      }
    }
  }

  // The _id is taken: by an earlier sending of this very block, unless something is badly wrong
  async #requireOwn ({ _id, _shardKey, records }: Block) {
    const standing = await this.#database.run(() => this.#blocks.findOne({ _id, _shardKey }))
    if (standing?.records[0]?.id === records[0]!.id) return
    this.#chain = randomUUIDv7()
    this.#nextSeq = 1
    this.#log.error({ block: _id }, 'another block stands in the place of this one; going on in a new chain')
    throw new RegisterBusy()
  }

  get #blocks () {
    return this.#database.collection<Block>(BLOCKS)
  }
}

/** What is done for all of them shows in the operation of each. */
function serveAll<T> (entries: Entry[], work: () => T) {
  return runInOperations(entries.flatMap(({ operations }) => operations), work)
}

function sameContent (a: Omit<StoredRecord, 'seq'>, b: Omit<StoredRecord, 'seq'>) {
  return isDeepStrictEqual(contentOf(a), contentOf(b))
}

function contentOf ({ createdDate, operationId, seq, ...content }: Omit<StoredRecord, 'seq'> & { seq?: number }) {
  return content
}

function receipt ({ id, createdDate }: Omit<StoredRecord, 'seq'>): Receipt {
  return { id, createdDate: createdDate.toISOString() }
}
