import { sizeAfter, type Batch } from '#common/transparency/documents.ts'
import { LogDamaged } from '../log/damage.ts'
import type { LogStore } from '../log/store.ts'
import type { EntryBatch, LogEntry } from './documents.ts'

/** The records of a batch of the log with their indexes. @throws {LogDamaged} some are not there */
export async function entriesOf (store: LogStore, batch: Batch): Promise<EntryBatch> {
  const entries: LogEntry[] = []
  for (const { chain, from, to } of batch.spans) {
    if (to < from) continue
    const end = entries.length + to - from + 1
    for await (const { records } of store.blocksFrom(chain, from, to)) {
      for (const record of records) entries.push({ index: batch._id + entries.length, record })
    }
    if (entries.length !== end) throw new LogDamaged(`chain ${chain} lacks records ${from} to ${to}`)
  }
  return { start: batch._id, end: sizeAfter(batch), entries }
}
