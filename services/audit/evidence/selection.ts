import type { StoredRecord } from '#common/audit-record.ts'
import { commitmentOf } from '#common/transparency/commitment.ts'
import { coveringCheckpoint, type LogHeads } from '../log/checkpoint-store.ts'
import type { TransparencyLog } from '../log/log.ts'
import { TooManyRecords } from '../errors.ts'
import type { RecordQuery } from '../queries/query.ts'
import type { Records } from '../queries/records.ts'

export const MAX_RECORDS = 10_000
const PAGE_RECORDS = 100

/** Which records are wanted, and what of each is shown. */
export interface Wanted {
  query: RecordQuery
  /** The record itself, or what of it may be shown; undefined if it is not wanted. */
  view (record: StoredRecord): StoredRecord | undefined
}

/** What is known of a record before anything is sent: all of a pack but the contents of records. */
export interface Entry {
  id: string
  chain: string
  seq: number
  /** What the log has of the record, see `commitmentOf`. */
  commitment: Buffer
  /** Whether the whole record is shown, so that its commitment can be computed. */
  isWhole: boolean
  /** In hexadecimal: base64 may look like a formula to a spreadsheet. None where it is not shown. */
  salt?: string
  /** Its index in the log and the size of the checkpoint that has it, once there is one. */
  index?: number
  size?: number
}

export interface Selection extends Wanted {
  entries: Entry[]
  heads: LogHeads
}

/**
 * The wanted records, the oldest first, and where the log has them.
 *
 * @throws {TooManyRecords}
 */
export async function select (records: Records, log: TransparencyLog, wanted: Wanted): Promise<Selection> {
  const entries: Entry[] = []
  for await (const { chain, record } of records.streamPlaced(wanted.query)) {
    const shown = wanted.view(record)
    if (!shown) continue
    if (entries.length === MAX_RECORDS) throw new TooManyRecords(MAX_RECORDS)
    const isWhole = shown === record
    const salt = isWhole ? record.salt?.toString('hex') : undefined
    const { id, seq } = record
    entries.push({ id, chain, seq, commitment: commitmentOf(record), isWhole, ...(salt && { salt }) })
  }
  for (let i = 0; i < entries.length; i += PAGE_RECORDS) {
    const page = entries.slice(i, i + PAGE_RECORDS)
    const indexes = await log.store.indexesOf(page)
    page.forEach((entry, j) => Object.assign(entry, { index: indexes[j] }))
  }
  // Only now: they have what is in the log by now
  const heads = await log.checkpoints.heads()
  for (const entry of entries) place(entry, heads)
  return { ...wanted, entries, heads }
}

function place (entry: Entry, heads: LogHeads) {
  const checkpoint = entry.index === undefined ? undefined : coveringCheckpoint(heads, entry.index)
  if (checkpoint) entry.size = checkpoint._id
  else delete entry.index
}

/**
 * Reads the selected records again, as they are shown.
 *
 * @throws {Error} one of them is no longer there
 */
export async function * shownRecords (records: Records, { entries, query, view }: Selection) {
  const left = new Map(entries.map((entry) => [entry.id, entry]))
  for await (const { chain, record } of records.streamPlaced(query)) {
    const entry = left.get(record.id)
    // What was stored since the selection is left out
    if (entry?.chain !== chain || entry.seq !== record.seq) continue
    left.delete(record.id)
    yield view(record)!
  }
  if (left.size > 0) throw new Error(`${left.size} records were removed while they were sent`)
}
