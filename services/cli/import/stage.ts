import { chmodSync } from 'node:fs'
import { hash } from 'node:crypto'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Violation } from '#common/http/validation.ts'
import { StartError } from '../system/state.ts'
import type { Resource, Unreadable } from './resources.ts'
import { ADD_INPUT, DELETED, REFUSED, SCHEMA, STORED, WAITING } from './schema.ts'

const COMMIT_EVERY = 2_000
const PAGE = 200
/** The type of what could not be read. */
const NOTHING = ''

export type Reason = Violation[]

export interface Staged {
  seq: number
  type: string
  id: string
  url: string | null
  subject: string | null
  /** Null once it was dropped. */
  json: string | null
  state: number
  stored_id: string | null
}

export interface RefusedRow extends Staged {
  reason: Reason
  place: string
  /** The path of its input; null for stdin. */
  input: string | null
}

/** The outcome for the resources of one request. */
export interface Outcome {
  /** The id under which the API has it. */
  id: string
  /** An earlier run had stored it. */
  before: boolean
  unread: Map<string, number>
}

export interface Count {
  type: string
  stored: number
  before: number
  refused: number
  waiting: number
  within: number
}

export interface Group {
  type: string
  reason: Reason
  count: number
  /** That of the first. */
  place: string
}

/** The staged resources of one gateway and source, with what became of them. */
export class Stage {
  readonly run: number
  /** Makes the idempotency keys of this stage differ from those of others; empty unless it was begun anew. */
  readonly salt: string
  /** The path of the input that is read. */
  input: string | undefined
  #database: DatabaseSync
  #statements = new Map<string, StatementSync>()
  #pending = 0

  /**
   * @param salt for a file that is new
   * @throws {StartError} another import has the file open
   */
  constructor (file: string, salt = '') {
    this.#database = new DatabaseSync(file)
    try {
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE')
      this.#database.exec(SCHEMA)
      chmodSync(file, 0o600)
      if (!this.#sql('PRAGMA table_info(resources)').all().some(({ name }) => name === 'input')) {
        this.#database.exec(ADD_INPUT)
      }
      if (salt !== '') this.#sql('INSERT INTO salts VALUES (?)').run(salt)
      this.salt = (this.#sql('SELECT salt FROM salts').get()?.salt ?? '') as string
      this.run = Number(this.#sql('INSERT INTO runs DEFAULT VALUES').run().lastInsertRowid)
    } catch (error) {
      this.#database.close()
      if ((error as { errcode?: number }).errcode === 5) throw new StartError('another import is running')
      throw error
    }
  }

  close () {
    this.commit()
    this.#database.close()
  }

  /** Drops the content of what is stored. An observation may be in several reports until then. */
  dropContent () {
    this.#database.exec(`UPDATE resources SET json = NULL WHERE state = ${STORED} AND json IS NOT NULL`)
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  }

  /** Ends the transaction of what was staged. */
  commit () {
    if (this.#pending > 0) this.#database.exec('COMMIT')
    this.#pending = 0
  }

  /** Adds a resource; one that is stored already stays as it is. */
  add ({ type, id, url, subject, json, compared = json, place }: Resource) {
    this.#batch()
    const digest = hash('sha256', compared)
    const known = this.#sql('SELECT * FROM resources WHERE type = ? AND id = ?').get(type, id)
    if (!known) {
      this.#sql(`INSERT INTO resources (type, id, url, subject, hash, json, place, run, input)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
        .run(type, id, url ?? null, subject ?? null, digest, json, place, this.run, this.input ?? null)
    } else if (known.hash !== digest && (known.stored_id !== null || known.run === this.run)) {
      const message = 'differs from what was imported under its type and id; see --source'
      this.#addRefused(type, `${id} ${digest}`, json, place, message, subject)
    } else {
      this.#sql(`UPDATE resources SET url = ?, subject = ?, hash = ?, place = ?, run = ?, input = ?,
        json = ?, reason = iif(state = ${DELETED}, reason, NULL),
        state = iif(stored_id IS NULL, ${WAITING}, state) WHERE seq = ?`)
        .run(url ?? null, subject ?? null, digest, place, this.run, this.input ?? null, json, known.seq!)
    }
  }

  addUnreadable ({ place, text, message }: Unreadable) {
    this.#batch()
    this.#addRefused(NOTHING, place, text, place, message)
  }

  #addRefused (
    type: string, id: string, json: string, place: string, message: string, subject?: string
  ) {
    const reason = JSON.stringify([{ pointer: '', message }])
    this.#sql(`INSERT OR REPLACE INTO resources (type, id, subject, hash, json, place, run, state, reason,
      input) VALUES (?, ?, ?, '', ?, ?, ?, ${REFUSED}, ?, ?)`)
      .run(type, id, subject ?? null, json, place, this.run, reason, this.input ?? null)
  }

  /** An id for a resource without one: its digest, and for the n-th of the same in this run `digest-n`. */
  newId (type: string, digest: string) {
    const count = this.countOccurrence(type, digest)
    return count === 1 ? digest : `${digest}-${count}`
  }

  /** How often something has occurred in this run, with this time. */
  countOccurrence (type: string, digest: string) {
    return Number(this.#sql(`INSERT INTO occurrences VALUES (?, ?, 1)
      ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count`).get(type, digest)!.count)
  }

  hasOccurred (type: string, digest: string) {
    return this.#sql('SELECT 1 FROM occurrences WHERE type = ? AND hash = ?').get(type, digest) !== undefined
  }

  /** Whether a patient is the first with an identifier. */
  claimIdentifier (identifier: string, seq: number) {
    const digest = hash('sha256', identifier)
    this.#sql('INSERT OR IGNORE INTO identifiers VALUES (?, ?)').run(digest, seq)
    return this.#sql('SELECT seq FROM identifiers WHERE hash = ?').get(digest)!.seq === seq
  }

  #batch () {
    if (this.#pending === 0) this.#database.exec('BEGIN')
    if (++this.#pending >= COMMIT_EVERY) {
      this.commit()
      this.#database.exec('BEGIN')
      this.#pending = 1
    }
  }

  /** The resources of a type that wait, in the order of the input. */
  * waiting (type: string): Generator<Staged> {
    const next = this.#sql(`SELECT * FROM resources
      WHERE type = ? AND run = ? AND state = ${WAITING} AND seq > ? ORDER BY seq LIMIT ${PAGE}`)
    for (let after = 0; ;) {
      const page = next.all(type, this.run, after) as unknown as Staged[]
      yield * page
      if (page.length < PAGE) return
      after = page.at(-1)!.seq
    }
  }

  countWaiting (types: readonly string[]) {
    const count = this.#sql(`SELECT COUNT(*) AS n FROM resources
      WHERE type = ? AND run = ? AND state = ${WAITING}`)
    return types.reduce((sum, type) => sum + Number(count.get(type, this.run)!.n), 0)
  }

  /** The resource that a reference leads to: `Type/id`, a URL, or the URN of a UUID. */
  find (type: string, reference: string): Staged | undefined {
    const plain = reference.replace(/\/_history\/[^/]*$/, '')
    const [, ofType, id] = /(?:^|\/)([A-Za-z]+)\/([^/]+)$/.exec(plain) ?? []
    if (ofType && plain === `${ofType}/${id}`) return ofType === type ? this.get(type, id!) : undefined
    const byUrl = this.#sql('SELECT * FROM resources WHERE url = ? AND type = ?').get(plain, type)
    if (byUrl) return byUrl as unknown as Staged
    const ofUrn = /^urn:uuid:(.+)$/.exec(plain)?.[1]
    return this.get(type, plain) ?? (ofUrn === undefined ? undefined : this.get(type, ofUrn)) ??
      (ofType === type ? this.get(type, id!) : undefined)
  }

  get (type: string, id: string) {
    return this.#sql('SELECT * FROM resources WHERE type = ? AND id = ?').get(type, id) as Staged | undefined
  }

  /** Notes that resources are stored, the first as itself and the others within it. */
  store (resources: Staged[], { id, before, unread }: Outcome) {
    this.#atomic(() => {
      for (const [i, { seq }] of resources.entries()) {
        this.#sql(`UPDATE resources SET state = ${STORED}, reason = NULL, stored_id = ?, within = ?,
          stored_run = ? WHERE seq = ?`).run(id, i === 0 ? null : id, before ? 0 : this.run, seq)
      }
      for (const [path, count] of unread) {
        this.#sql(`INSERT INTO unread VALUES (?, ?)
          ON CONFLICT (path) DO UPDATE SET count = count + excluded.count`).run(path, count)
      }
    })
  }

  refuse (resources: Staged[], reason: Reason) {
    const text = JSON.stringify(reason)
    this.#atomic(() => {
      for (const { seq } of resources) {
        this.#sql(`UPDATE resources SET state = ${REFUSED}, reason = ? WHERE seq = ? AND state <> ${STORED}`)
          .run(text, seq)
      }
    })
  }

  /** Notes the id that a stored patient has now. */
  movePatient ({ seq }: Staged, id: string) {
    this.#sql(`UPDATE resources SET state = ${STORED}, reason = NULL, stored_id = ? WHERE seq = ?`)
      .run(id, seq)
  }

  /** Notes that a stored patient is not there any more. */
  markDeleted ({ seq }: Staged) {
    const reason = [{ pointer: '', message: 'was deleted after it was imported; see --anew' }]
    this.#sql(`UPDATE resources SET state = ${DELETED}, reason = ? WHERE seq = ?`)
      .run(JSON.stringify(reason), seq)
  }

  #atomic (change: () => void) {
    this.#database.exec('BEGIN')
    change()
    this.#database.exec('COMMIT')
  }

  /** The last patients that are stored, at most `count`. */
  lastStored (count: number) {
    const rows = this.#sql(`SELECT * FROM resources
      WHERE type IN ('Patient', 'patient') AND state = ${STORED} ORDER BY seq DESC LIMIT ?`).all(count)
    return rows as unknown as Staged[]
  }

  counts (): Count[] {
    return this.#sql(`SELECT type, SUM(state = ${STORED} AND stored_run = run) AS stored,
      SUM(state = ${STORED} AND stored_run < run) AS before,
      SUM(state IN (${REFUSED}, ${DELETED})) AS refused,
      SUM(state = ${WAITING}) AS waiting, SUM(within IS NOT NULL) AS within
      FROM resources WHERE run = ? GROUP BY type ORDER BY type`).all(this.run) as unknown as Count[]
  }

  /** What was refused, by type and reason. */
  groups (): Group[] {
    const groups = this.#sql(`SELECT type, reason, COUNT(*) AS count, MIN(seq), place FROM resources
      WHERE run = ? AND state IN (${REFUSED}, ${DELETED})
      GROUP BY type, reason ORDER BY count DESC LIMIT 100`).all(this.run)
    return groups.map((row) => {
      const group = row as unknown as Group & { reason: string }
      return { ...group, reason: JSON.parse(group.reason) }
    })
  }

  * refused (): Generator<RefusedRow> {
    const rows = this.#sql(`SELECT * FROM resources
      WHERE run = ? AND state IN (${REFUSED}, ${DELETED}) ORDER BY seq`)
    for (const row of rows.iterate(this.run) as Iterable<unknown>) {
      const refused = row as Omit<RefusedRow, 'reason'> & { reason: string }
      yield { ...refused, reason: JSON.parse(refused.reason) }
    }
  }

  unread () {
    const rows = this.#sql('SELECT path, count FROM unread ORDER BY path').all()
    return rows as Array<{ path: string, count: number }>
  }

  #sql (text: string) {
    return this.#statements.getOrInsertComputed(text, () => this.#database.prepare(text))
  }
}
