import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient, type Db } from 'mongodb'
import { commitmentOf } from '#common/transparency/commitment.ts'
import {
  collections, type Block, type ChainDocument, type StoredCheckpoint
} from '#common/transparency/documents.ts'
import { Chain } from '../audit/chain.ts'
import type { NewRecord } from '../audit/queue.ts'
import { CRITERION_FIELDS } from '../audit/queries/fields.ts'
import { registerIndexes } from '../audit/register.ts'

/** Of every thousand records, one is about this patient. */
export const PATIENT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
export const PATIENT_EVERY = 1_000
export const START = Date.parse('2026-01-01T00:00:00Z')
export const END = '2026-01-20T00:00:00Z'
/** Between two records, so that a million take twelve days. */
const RECORD_MS = 1_000
const BLOCK_RECORDS = 100
const BATCH_BLOCKS = 100
/** A replica sweeps each minute, and adds 10,000 records at a time. */
const SEQUENCED_MS = 300_000

/**
 * Fills the audit database of a running system with `size` records in one chain, which its replica sequences.
 *
 * @returns the id of a record
 */
export async function store (
  { connection, database }: { connection: string, database: string }, size: number
) {
  const client = await new MongoClient(connection).connect()
  try {
    const db = client.db(database)
    const blocks = db.collection<Block>(collections.blocks)
    // A replica of audit makes them after its start
    while ((await blocks.indexes().catch(() => [])).length <= registerIndexes.length) await sleep(100)
    // Not for the questions that are measured, and each takes as long as storing the records
    for (const field of Object.values(CRITERION_FIELDS)) await blocks.dropIndex(`records.${field}_1_to_1`)
    const chain = new Chain()
    // One batch is made while the one before is stored
    let storing: Promise<unknown> = Promise.resolve()
    for (let first = 0; first < size; first += BATCH_BLOCKS * BLOCK_RECORDS) {
      const batch = Array.from({ length: BATCH_BLOCKS }, (_, i) => blockOf(chain, first + i * BLOCK_RECORDS))
      await storing
      storing = blocks.insertMany(batch, { ignoreUndefined: true })
    }
    await storing
    // Announced once it is complete, so that no sweep finds a part of it
    const startedDate = new Date(START)
    await db.collection<ChainDocument>(collections.chains)
      .insertOne({ _id: chain.chain, _shardKey: chain.chain, startedDate, ended: false })
    await sequenced(db, size)
    const some = await blocks.findOne({ _id: `${chain.chain}:1` })
    return some!.records[1]!.id
  } finally {
    await client.close()
  }
}

async function sequenced (db: Db, size: number) {
  const deadline = performance.now() + SEQUENCED_MS
  const checkpoints = db.collection<StoredCheckpoint>(collections.checkpoints)
  while (((await checkpoints.findOne({}, { sort: { _id: -1 } }))?._id ?? 0) < size) {
    if (performance.now() > deadline) throw new Error('the records are not sequenced')
    await sleep(500)
  }
}

function blockOf (chain: Chain, first: number): Block {
  const block = chain.blockOf(Array.from({ length: BLOCK_RECORDS }, (_, i) => recordOf(first + i)))
  chain.advance(block, block.records.map(commitmentOf))
  return block
}

function recordOf (n: number): NewRecord {
  const id = n % PATIENT_EVERY === 0 ? PATIENT : randomUUID()
  return {
    id: randomUUID(),
    createdDate: new Date(START + n * RECORD_MS),
    operationId: randomUUID().replaceAll('-', ''),
    sourceSystemName: 'patient',
    resource: { type: 'patient', id, operation: 'load' },
    actor: `client-${n % 17}`,
    clientAddress: '192.0.2.1',
    disclosed: [{ id, version: randomUUID() }]
  }
}
