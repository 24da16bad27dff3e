import type { Filter } from 'mongodb'
import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { allows, type Precondition } from '#common/http/preconditions.ts'
import { FindingNotFound, FindingStale } from '../errors.ts'
import type { Position } from '../queries/query.ts'
import {
  reviewCollections, type EntryBatch, type FINDING_CRITERIA, type Finding, type StateChange
} from './documents.ts'

const MAX_RECORDS = 100

/** What a batch adds to a finding. */
export type FindingPart = Pick<
  Finding, '_id' | 'rule' | 'date' | 'actor' | 'onBehalfOf' | 'patientId' | 'records' | 'count'
>
type FindingQuery = Partial<Record<typeof FINDING_CRITERIA[number], string>>

/** The findings of the rules and what reviewers made of them. */
export class Findings {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /**
   * Adds what a batch leads to, once however often it is called. A finding that was closed becomes new again:
   * nobody has looked at these records.
   */
  async add ({ start, end }: EntryBatch, part: FindingPart) {
    for (;;) {
      const stored = await this.find(part._id)
      if (!stored) {
        const records = part.records.slice(0, MAX_RECORDS)
        const state = { state: 'new' as const, history: [], upTo: end, version: 1 }
        if (await this.#insert({ ...part, _shardKey: part._id, records, ...state })) return
        continue
      }
      if (stored.upTo > start) return
      const records = [...stored.records, ...part.records].slice(0, MAX_RECORDS)
      const grown = { ...stored, records, count: stored.count + part.count, upTo: end }
      const reopening: StateChange = { state: 'new', by: 'rules', date: new Date() }
      if (await this.#replace(stored.state === 'closed' ? changed(grown, reopening) : grown)) return
    }
  }

  /** Up to `limit` findings, newest first, and whether there are more. */
  async page (query: FindingQuery, limit: number, after?: Position) {
    const filter = { ...query } as Filter<Finding>
    if (after) {
      const date = new Date(after.date)
      filter.date = { $lte: date }
      filter.$or = [{ date: { $lt: date } }, { _id: { $lt: after.id } }]
    }
    const found = await this.#database.run(() =>
      this.#findings.find(filter).sort({ date: -1, _id: -1 }).limit(limit + 1).toArray())
    return { findings: found.slice(0, limit), more: found.length > limit }
  }

  find (_id: string) {
    return this.#database.run(() => this.#findings.findOne({ _id, _shardKey: _id }))
  }

  /**
   * Changes the state of a finding.
   *
   * @param check throws where the change is not allowed
   * @throws {FindingNotFound | FindingStale}
   */
  async change (id: string, precondition: Precondition, change: StateChange, check: (from: Finding) => void) {
    for (;;) {
      const stored = await this.find(id)
      if (!stored) throw new FindingNotFound()
      // An earlier attempt of which the answer was lost
      if (stored.history.some(({ auditId }) => auditId === change.auditId)) return stored
      if (!allows(precondition, String(stored.version))) throw new FindingStale()
      check(stored)
      const next = changed(stored, change)
      if (await this.#replace(next)) return { ...next, version: stored.version + 1 }
    }
  }

  #insert (finding: Finding) {
    const insert = () => this.#findings.insertOne(finding, { ignoreUndefined: true })
    return unlessThere(this.#database.run(insert))
  }

  /** Returns false where it has changed since. */
  async #replace (finding: Finding) {
    const { _id, _shardKey, version } = finding
    const next = { ...finding, version: version + 1 }
    const { matchedCount } = await this.#database.run(() =>
      this.#findings.replaceOne({ _id, _shardKey, version }, next, { ignoreUndefined: true }))
    return matchedCount === 1
  }

  get #findings () {
    return this.#database.collection<Finding>(reviewCollections.findings)
  }
}

function changed (finding: Finding, change: StateChange): Finding {
  return { ...finding, state: change.state, history: [...finding.history, change] }
}
