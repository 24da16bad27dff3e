import type { StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'
import { collections, type Block } from '#common/transparency/documents.ts'
import { compare, positionOf, type Direction, type Position, type RecordQuery } from './query.ts'
import { summaryOf } from './summary.ts'
import { walk, walkPlaced } from './walk.ts'

/** Reads records. Whoever asks has to be recorded before. */
export class Records {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /** The records that `query` wants, by date and id; see `walk`. */
  stream (query: RecordQuery, direction: Direction, after?: Position) {
    return walk(this.#database, query, direction, after)
  }

  /** The same from the oldest on, each with its chain and salt. */
  streamPlaced (query: RecordQuery) {
    return walkPlaced(this.#database, query, 1)
  }

  /** Up to `limit` records after a position, and whether there are more. */
  async page (query: RecordQuery, direction: Direction, limit: number, after?: Position) {
    const records: StoredRecord[] = []
    for await (const record of this.stream(query, direction, after)) {
      if (records.length === limit) return { records, more: true }
      records.push(record)
    }
    return { records, more: false }
  }

  /** The record with an id, of several the first one stored; undefined if there is none. */
  async find (id: string): Promise<StoredRecord | undefined> {
    const blocks = await this.#database.run(() =>
      this.#database.collection<Block>(collections.blocks).find({ 'records.id': id }).toArray())
    const records = blocks.flatMap(({ records }) => records).filter((record) => record.id === id)
    return records.sort((a, b) => compare(positionOf(a), positionOf(b)))[0]
  }

  /** What `actor` did in a range of dates, by day. */
  summary (actor: string, from: number, to: number) {
    return summaryOf(this.stream({ actor, from, to }, 1))
  }
}
