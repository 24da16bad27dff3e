import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto'
import { Binary, type Db } from 'mongodb'
import { formatCheckpoint } from '#common/transparency/checkpoints.ts'
import type { Signer } from '#common/transparency/notes.ts'
import { TILE_HEIGHT, TILE_WIDTH } from '#common/transparency/tiles.ts'
import { leafHash, TreeBuilder } from '#common/transparency/tree.ts'
import { blockHash, commitmentOf } from '#common/transparency/commitment.ts'
import {
  rangesOf, type Batch, type Block, type SaltedRecord, type Span, type StoredCheckpoint
} from '#common/transparency/documents.ts'

export const ORIGIN = 'example.org/register'
const SHARD = { _shardKey: '0' }

interface Chain {
  id: string
  next: number
  previous: Buffer
  now: number
}

interface WrittenOptions {
  records: number
  blockRecords: number
  /** Blocks a batch. */
  batchBlocks: number
  chains: number
  signer: Signer
  /** The last chain stays open. */
  witness?: Signer
}

/** Writes a register and its log as the audit service does, batch by batch. */
export async function writeLog (db: Db, options: WrittenOptions) {
  const { records, blockRecords, batchBlocks, signer, witness } = options
  const start = Date.now() - 86_400_000
  const ids = Array.from({ length: options.chains }, () => randomUUIDv7())
  const chains: Chain[] = ids.map((id) => ({ id, next: 1, previous: Buffer.alloc(32), now: start }))
  await db.collection<{ _id: string }>('blocks').createIndex({ chain: 1, firstSeq: 1 })
  await db.collection<{ _id: string }>('blocks').createIndex({ 'records.resource.id': 1 })
  await db.collection<{ _id: string }>('chains')
    .insertMany(ids.map((_id) => ({ _id, ...SHARD, startedDate: new Date(start), ended: false })))
  await db.collection<{ _id: string }>('logKeys')
    .insertOne({ _id: signer.vkey, ...SHARD, date: new Date(start) } as never)

  const tree = new TreeBuilder()
  const entries: Buffer[] = []
  const date = (i: number) => new Date(start + i)
  const newBatch = () => ({ firstIndex: tree.size, spans: [] as Span[], blocks: [] as object[] })
  let batch = newBatch()
  const flush = async (at: Date) => {
    if (batch.blocks.length === 0) return
    await db.collection('blocks').insertMany(batch.blocks)
    const open = chains.filter(({ next }) => next > 1).map(({ id: chain, next }) => ({ chain, next }))
    await db.collection<{ _id: number }>('batches').insertOne({
      _id: batch.firstIndex,
      ...SHARD,
      count: tree.size - batch.firstIndex,
      spans: batch.spans,
      ranges: rangesOf(batch.spans),
      open,
      date: at
    } as never)
    const text = formatCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root })
    await db.collection<{ _id: number }>('checkpoints').insertOne({
      _id: tree.size,
      ...SHARD,
      root: new Binary(tree.root),
      text,
      signatures: [signer.sign(text)],
      cosignatures: witness ? [witness.sign(text, Math.floor(+at / 1_000))] : [],
      ...witness && { witnessedDate: at },
      date: at
    } as never)
    batch = newBatch()
  }
  for (let i = 0, turn = 0; i < records; turn++) {
    const chain = chains[turn % chains.length]!
    const count = Math.min(blockRecords, records - i)
    const firstSeq = chain.next
    const made = Array.from({ length: count }, (_, j) => recordOf(firstSeq + j, date(i + j)))
    const commitments = made.map(commitmentOf)
    for (const entry of commitments) {
      entries.push(entry)
      tree.append(leafHash(entry))
    }
    const _id = `${chain.id}:${firstSeq}`
    batch.blocks.push({
      _id,
      _shardKey: chain.id,
      chain: chain.id,
      firstSeq,
      records: made,
      previous: new Binary(chain.previous),
      from: date(i),
      to: date(i + count - 1)
    })
    chain.previous = blockHash({ previous: new Binary(chain.previous), _id }, commitments)
    chain.next += count
    const span = batch.spans.find((one) => one.chain === chain.id)
    // A span of each block, so that the order of the log is the order of writing
    if (span && batch.spans.at(-1) === span) span.to = chain.next - 1
    else batch.spans.push({ chain: chain.id, from: firstSeq, to: chain.next - 1 })
    i += count
    if (batch.blocks.length === batchBlocks) await flush(date(i))
  }
  await flush(date(records))
  await writeTiles(db, entries)
  return { chains, tree, entries }
}

async function writeTiles (db: Db, entries: Buffer[]) {
  const tree = new TreeBuilder()
  const rows: Buffer[][] = [entries]
  for (const entry of entries) {
    tree.append(leafHash(entry), (level, _index, root) => {
      if (level > 0 && level % TILE_HEIGHT === 0) (rows[level / TILE_HEIGHT] ??= []).push(root)
    })
  }
  const tiles = []
  for (const [level, hashes] of rows.entries()) {
    for (let n = 0; n * TILE_WIDTH < hashes.length; n++) {
      const data = hashes.slice(n * TILE_WIDTH, (n + 1) * TILE_WIDTH)
      const bytes = new Binary(Buffer.concat(data))
      tiles.push({ _id: `${level}/${n}`, ...SHARD, width: data.length, data: bytes })
    }
  }
  await db.collection<{ _id: string }>('tiles').deleteMany({})
  await db.collection<{ _id: string }>('tiles').insertMany(tiles)
}

/**
 * Changes the register as somebody can who has the database and the key of `signer`: `change` changes blocks,
 * and links, tiles, checkpoints and signatures follow.
 *
 * @param cosignatures whether those that witnesses made of the former checkpoints stay
 */
export async function rewriteLog (
  db: Db, signer: Signer, change: (blocks: Block[]) => void, cosignatures: boolean
) {
  const stored = db.collection<Block>('blocks')
  const blocks = await stored.find().sort({ chain: 1, firstSeq: 1 }).toArray()
  change(blocks)
  const entryOf = new Map<string, Buffer>()
  const previous = new Map<string, Buffer>()
  for (const block of blocks) {
    const { chain, records } = block
    block.previous = new Binary(previous.get(chain) ?? Buffer.alloc(32))
    const commitments = records.map(commitmentOf)
    records.forEach(({ seq }, i) => entryOf.set(`${chain}:${seq}`, commitments[i]!))
    previous.set(chain, blockHash(block, commitments))
    await stored.replaceOne({ _id: block._id }, block)
  }
  const tree = new TreeBuilder()
  const entries: Buffer[] = []
  const batches = await db.collection<Batch>('batches').find().sort({ _id: 1 }).toArray()
  for (const { spans, _id, count } of batches) {
    for (const { chain, from, to } of spans) {
      for (let seq = from; seq <= to; seq++) entries.push(entryOf.get(`${chain}:${seq}`)!)
    }
    for (const entry of entries.slice(_id)) tree.append(leafHash(entry))
    const text = formatCheckpoint({ origin: ORIGIN, size: _id + count, root: tree.root })
    const signed = { root: new Binary(tree.root), text, signatures: [signer.sign(text)] }
    const update = { $set: { ...signed, ...!cosignatures && { cosignatures: [] } } }
    await db.collection<StoredCheckpoint>('checkpoints').updateOne({ _id: _id + count }, update)
  }
  await writeTiles(db, entries)
}

export function recordOf (seq: number, createdDate: Date): SaltedRecord {
  const patientId = randomUUID()
  return {
    id: randomUUIDv7(),
    seq,
    createdDate,
    sourceSystemName: 'patient',
    resource: { type: 'patient', id: patientId, operation: 'load' },
    actor: 'local-client',
    clientAddress: '127.0.0.1',
    requestId: randomUUID(),
    operationId: randomBytes(16).toString('hex'),
    disclosed: [{ id: patientId, version: randomUUID() }],
    salt: new Binary(randomBytes(16))
  }
}
