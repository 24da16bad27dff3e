import type { Collection, Db } from 'mongodb'
import { parseCheckpoint } from '#common/transparency/checkpoints.ts'
import type { VerifierKey } from '#common/transparency/notes.ts'
import { rootOfRange, TreeBuilder, type GetNode } from '#common/transparency/tree.ts'
import type { Archive } from '../archive/documents.ts'
import { ArchiveReader } from './archive-reader.ts'
import { BatchStream } from './batches.ts'
import { Checkpoints, type KeptCheckpoint, type Witnessed } from './checkpoints.ts'
import {
  sizeAfter, type Batch, type Block, type ChainDocument, type LogKey, type StoredCheckpoint, type Tile
} from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'
import { trustedKeys } from './keys.ts'
import { Leaves } from './leaves.ts'
import { Tails } from './tails.ts'
import { HashTiles, StoredEntries, nodesOf } from './tiles.ts'

export interface Options {
  /** Only what was sequenced from this date on, and up to the other. */
  from?: Date
  to?: Date
  /** Keys of the log that the auditor trusts; without any, its first one is trusted. */
  keys: VerifierKey[]
  witnesses: VerifierKey[]
  /** Checkpoints that the auditor has. */
  kept: KeptCheckpoint[]
  /** The directory of archive files. */
  archive?: string
  /** How long a record may be stored and not sequenced. */
  graceMs: number
}

export interface Summary {
  /** The entries that were checked. */
  first: number
  end: number
  /** The size of the newest checkpoint. */
  size: number
  /** Records that are newer than the log. */
  waiting: number
  /** Records in archives that are not at hand. */
  unread: number
  /** Archives, by the dates of their removal from the database. */
  archives: Archive[]
  witnessed: Witnessed[]
}

export interface Register {
  blocks: Collection<Block>
  chains: Collection<ChainDocument>
  batches: Collection<Batch>
  tiles: Collection<Tile>
  checkpoints: Collection<StoredCheckpoint>
  logKeys: Collection<LogKey>
  archives: Collection<Archive>
}

export const registerOf = (db: Db): Register => ({
  blocks: db.collection('blocks'),
  chains: db.collection('chains'),
  batches: db.collection('batches'),
  tiles: db.collection('tiles'),
  checkpoints: db.collection('checkpoints'),
  logKeys: db.collection('logKeys'),
  archives: db.collection('archives')
})

/**
 * Checks the register in the order of its log, with the memory that a few blocks take. What is stored after
 * the start is not looked at, so that a register in use has no findings.
 */
export async function verifyRegister (register: Register, options: Options, findings: Findings) {
  const now = new Date()
  // In this order: what a checkpoint covers is stored before it
  const newest = await register.checkpoints.findOne({}, { sort: { _id: -1 } })
  const lastBatch = await register.batches.findOne({}, { sort: { _id: -1 } })
  const size = newest?._id ?? 0
  const first = options.from ? Math.min(await firstSince(register.batches, options.from), size) : 0
  const end = options.to ? Math.min(await firstSince(register.batches, options.to), size) : size
  const getNode = nodesOf(register.tiles, findings)
  const keys = trustedKeys(await register.logKeys.find().toArray(), options.keys, findings)
  const archive = new ArchiveReader(register.archives, options.archive, findings)
  await archive.refresh()

  const checkpoints = new Checkpoints(register.checkpoints, first, end, { ...options, keys, findings })
  await checkpoints.open()
  const leaves = new Leaves({
    tree: await TreeBuilder.from(first, getNode),
    entries: new StoredEntries(register.tiles, first),
    tiles: new HashTiles(register.tiles, findings),
    checkpoints,
    findings
  })
  const stream = new BatchStream(register, { leaves, archive, findings, isWhole: first === 0 })
  try {
    await leaves.checkCheckpoints()
    await stream.check(first, end)
    await leaves.finish()
    checkpoints.finish()
    await checkElsewhere(checkpoints, leaves, newest, getNode, findings)
  } finally {
    await checkpoints.close()
  }
  let waiting = 0
  if (end === size && lastBatch) {
    await stream.passBeyond(size, lastBatch._id, new Date(+now - options.graceMs))
    const { archives } = archive
    const tails = { isWhole: first === 0, now, lastBatch, graceMs: options.graceMs, archives }
    waiting = await new Tails(register, stream, tails, findings).check()
    checkpoints.checkWitnesses(now)
  }
  findings.flush()
  const { unread } = stream
  const witnessed = [...checkpoints.witnessed.values()]
  return { first, end, size, waiting, unread, archives: archive.archives, witnessed } satisfies Summary
}

/** The index of the first entry that was sequenced at `date` or later. */
async function firstSince (batches: Collection<Batch>, date: Date) {
  const last = await batches.findOne({}, { sort: { _id: -1 } })
  let low = 0
  let high = sizeAfter(last)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const batch = await batches.findOne({ _id: { $lte: middle } }, { sort: { _id: -1 } })
    if (!batch || batch.date < date) low = batch ? Math.max(sizeAfter(batch), middle + 1) : middle + 1
    else high = batch._id
  }
  return low
}

/** Checks what lies outside of the range that was read, from the tiles alone. */
async function checkElsewhere (
  { keptElsewhere }: Checkpoints, leaves: Leaves, newest: StoredCheckpoint | null, getNode: GetNode,
  findings: Findings
) {
  const size = newest?._id ?? 0
  const expected = [...keptElsewhere]
  if (newest && leaves.size < size) {
    const { root } = parseCheckpoint(newest.text)
    expected.push({ name: `checkpoint ${size}`, size, root })
    expected.push({ name: 'the records', size: leaves.size, root: leaves.root })
  }
  for (const { name, size: wanted, root } of expected) {
    if (wanted > size) {
      findings.add('tree differs', `${name} has ${wanted} entries, the log has ${size}`)
    } else if (!root.equals(await rootOfRange(0, wanted, getNode))) {
      findings.add('tree differs', `the tiles of the log do not lead to ${name}, of size ${wanted}`)
    }
  }
}
