import type { Db } from 'mongodb'
import type { Batch, Block, StoredCheckpoint } from '#common/transparency/documents.ts'
import { formatNote, parseNote, verifiedSignatures, type VerifierKey } from '#common/transparency/notes.ts'

/**
 * How long after they were made the records of a register were in a signed checkpoint, and in one that each
 * witness had cosigned, in ms. Infinity where they are not. Witnesses tell whole seconds: up to 1 s is added.
 */
export async function delaysOf (db: Db, witnesses: VerifierKey[]) {
  const dates = await datesByChain(db)
  const batches = await db.collection<Batch>('batches').find().sort({ _id: 1 }).toArray()
  const checkpoints = await db.collection<StoredCheckpoint>('checkpoints').find().sort({ _id: 1 }).toArray()
  const signed = checkpoints.map(({ _id, date }) => ({ size: _id, ms: date.getTime() }))
  const cosigned = witnesses.map((key) => checkpoints.flatMap(({ _id, text, cosignatures }) => {
    if (cosignatures.length === 0) return []
    const [verified] = verifiedSignatures(parseNote(formatNote(text, cosignatures)), [key])
    return verified ? [{ size: _id, ms: (verified.seconds! + 1) * 1_000 }] : []
  }))
  const delays = (covering: Array<{ size: number, ms: number }>) => {
    let next = 0
    return batches.flatMap(({ _id, count, spans }) => {
      while (next < covering.length && covering[next]!.size < _id + count) next++
      const ms = covering[next]?.ms ?? Infinity
      const made = spans.flatMap(({ chain, from, to }) => dates.get(chain)!.slice(from - 1, to))
      return made.map((date) => ms - date)
    })
  }
  return { batches: batches.length, sequenced: delays(signed), witnessed: cosigned.map(delays) }
}

/** When each record of a chain was made, in ms, by its number. */
async function datesByChain (db: Db) {
  const dates = new Map<string, number[]>()
  for await (const { chain, records } of db.collection<Block>('blocks').find()) {
    if (!dates.has(chain)) dates.set(chain, [])
    for (const { seq, createdDate } of records) dates.get(chain)![seq - 1] = createdDate.getTime()
  }
  return dates
}
