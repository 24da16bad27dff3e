import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from 'mongodb'
import type { Test } from 'tap'
import { parseCheckpoint } from '../../../common/transparency/checkpoints.ts'
import { commitmentOf } from '../../../common/transparency/commitment.ts'
import type { Batch, Block, LogKey, StoredCheckpoint, Tile } from '../../../common/transparency/documents.ts'
import {
  formatNote, parseNote, parseVerifierKey, verifiedSignatures
} from '../../../common/transparency/notes.ts'
import { leafHash, TreeBuilder } from '../../../common/transparency/tree.ts'

interface ReadLog {
  size: number
  /** Of each record, in the order of the log. */
  ids: string[]
  entries: Buffer[]
}

export const batchesOf = (db: Db) => db.collection<Batch>('batches').find().sort({ _id: 1 }).toArray()
export const checkpointsOf = (db: Db) =>
  db.collection<StoredCheckpoint>('checkpoints').find().sort({ _id: 1 }).toArray()

/** The records that are stored, by chain and number. */
async function recordsOf (db: Db) {
  const blocks = await db.collection<Block>('blocks').find().toArray()
  return new Map(blocks.flatMap(({ chain, records }) =>
    records.map((record) => [`${chain}:${record.seq}`, record] as const)))
}

/**
 * Reads the log from its batches and checks everything that follows from them: every record of the batches
 * exists and is there once, tiles and checkpoints are those of the tree.
 */
export async function checkLog (t: Test, db: Db): Promise<ReadLog> {
  const records = await recordsOf(db)
  const keys = await db.collection<LogKey>('logKeys').find().toArray()
  const verifiers = keys.map(({ _id }) => parseVerifierKey(_id))
  const roots = new Map<number, Buffer>()
  const tree = new TreeBuilder()
  const ids: string[] = []
  const entries: Buffer[] = []
  const next = new Map<string, number>()
  for (const batch of await batchesOf(db)) {
    t.equal(batch._id, tree.size, 'batches follow one another')
    for (const { chain, from, to, end } of batch.spans) {
      t.equal(from, next.get(chain) ?? 1, 'spans of a chain follow one another')
      for (let seq = from; seq <= to; seq++) {
        const record = records.get(`${chain}:${seq}`)!
        ids.push(record.id)
        entries.push(commitmentOf(record))
        tree.append(leafHash(entries.at(-1)!))
      }
      next.set(chain, end ? Infinity : to + 1)
    }
    t.equal(tree.size, batch._id + batch.count)
    const open = [...next].filter(([, seq]) => seq < Infinity)
    t.same(new Map(batch.open.map((one) => [one.chain, one.next])), new Map(open))
    roots.set(tree.size, tree.root)
  }
  for (const { _id, root, text, signatures } of await checkpointsOf(db)) {
    t.same(root.value(), roots.get(_id), `the root of checkpoint ${_id}`)
    t.same(parseCheckpoint(text), { ...parseCheckpoint(text), size: _id, root: roots.get(_id) })
    t.ok(verifiedSignatures(parseNote(formatNote(text, signatures)), verifiers).length > 0)
  }
  await checkTiles(t, db, entries)
  return { size: tree.size, ids, entries }
}

async function checkTiles (t: Test, db: Db, entries: Buffer[]) {
  const tree = new TreeBuilder()
  const rows: Buffer[][] = [entries]
  for (const entry of entries) {
    tree.append(leafHash(entry), (level, _index, root) => {
      if (level > 0 && level % 8 === 0) (rows[level / 8] ??= []).push(root)
    })
  }
  const expected = new Map<string, string>()
  rows.forEach((row, level) => {
    for (let i = 0; i * 256 < row.length; i++) {
      expected.set(`${level}/${i}`, Buffer.concat(row.slice(i * 256, (i + 1) * 256)).toString('hex'))
    }
  })
  const stored = await db.collection<Tile>('tiles').find().toArray()
  t.same(new Map(stored.map(({ _id, data }) => [_id, Buffer.from(data.value()).toString('hex')])), expected)
}

/** Waits until the log has a checkpoint of at least `size` records. */
export async function sequenced (db: Db, size: number) {
  while (((await checkpointsOf(db)).at(-1)?._id ?? 0) < size) await sleep(20)
}
