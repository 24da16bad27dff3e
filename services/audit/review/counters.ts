import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import type { StoredRecord } from '#common/audit-record.ts'
import { reviewCollections, type CounterDocument, type EntryBatch } from './documents.ts'
import { inParallel } from '#common/in-parallel.ts'

const PAGE_COUNTERS = 1_000
export const HOUR_MS = 3_600_000

/** The start of the hour of a date, as the ids of counters begin: 2026-11-28T13. */
export const hourOf = (date: Date) => date.toISOString().slice(0, 13)

/** The name of a count. What is escaped could not be part of the name of a field. */
export function counterKey ({ resource: { type, operation }, outcome }: StoredRecord) {
  const parts = [type, operation, outcome ?? '']
  return parts.map((part) => encodeURIComponent(part).replaceAll('.', '%2E')).join('/')
}

export function parseCounterKey (key: string) {
  const [type, operation, outcome] = key.split('/').map(decodeURIComponent)
  return { type: type!, operation: operation!, ...(outcome && { outcome }) }
}

/** Counts of records by hour, actor, type, operation and outcome. */
export class Counters {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /**
   * Counts the records of a batch, once however often it is called, as long as batches are counted in the
   * order of the log: a counter has the index up to which it counts.
   *
   * @throws {DatabaseUnavailable} some may be counted; the batch has to be counted again
   */
  async count ({ start, end, entries }: EntryBatch) {
    const counters = new Map<string, { actor?: string, increments: Record<string, number> }>()
    for (const { record } of entries) {
      const _id = `${hourOf(record.createdDate)} ${record.actor ?? ''}`
      const first = () => ({ actor: record.actor, increments: { total: 0 } })
      const { increments } = counters.getOrInsertComputed(_id, first)
      const name = `counts.${counterKey(record)}`
      increments[name] = (increments[name] ?? 0) + 1
      increments.total!++
    }
    await inParallel(counters, async ([_id, { actor, increments }]) => {
      const inserted = actor !== undefined && { $setOnInsert: { actor } }
      const update = { $inc: increments, $set: { upTo: end }, ...inserted }
      await this.#updateOnce({ _id, _shardKey: _id, upTo: { $lte: start } }, update)
    })
  }

  /** The counters of the hours from `from` to before `to`, of one actor or of all, in the order of hours. */
  async * between (from: Date, to: Date, actor?: string): AsyncGenerator<CounterDocument, void> {
    const until = new Date(Math.ceil(to.getTime() / HOUR_MS) * HOUR_MS)
    let range: object = { $gte: hourOf(from), $lt: hourOf(until) }
    for (;;) {
      const filter = { _id: range as { $gte: string }, ...(actor !== undefined && { actor }) }
      const page = await this.#database.run(() =>
        this.#counters.find(filter).sort({ _id: 1 }).limit(PAGE_COUNTERS).toArray())
      yield * page
      if (page.length < PAGE_COUNTERS) return
      range = { $gt: page.at(-1)!._id, $lt: hourOf(until) }
    }
  }

  /** Inserts the counter, or updates it, unless the batch is counted in it. */
  async #updateOnce (filter: { _id: string, _shardKey: string, upTo: object }, update: object) {
    // If it is there, it counts this batch
    await unlessThere(this.#database.run(() => this.#counters.updateOne(filter, update, { upsert: true })))
  }

  get #counters () {
    return this.#database.collection<CounterDocument>(reviewCollections.counters)
  }
}
