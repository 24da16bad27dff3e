import type { StatementSync } from 'node:sqlite'
import type { UUID } from 'bson'
import { decode, encode } from '../bson/encoding.ts'
import type { Doc } from '../bson/values.ts'
import type { Database } from './database.ts'
import { Index, describeIndex, duplicateKey, storedArrays } from './indexes.ts'
import type { IndexSpec } from './indexes.ts'

/** An entry of an index with its document. The key is empty in a walk without an index. */
export type Entry = [key: Uint8Array, rid: number, bytes: Uint8Array]

/** Where a scan goes on: behind (or, backwards, before) this entry. */
export interface Position { key: Uint8Array, rid: number }

/** A stretch of keys: lo <= key < hi. */
export interface KeyRange { lo: Uint8Array, hi: Uint8Array }

interface ScanOptions {
  after?: Position | undefined
  reverse?: boolean
  limit: number
}

/** What an index loses and gains by a change of one document. */
interface KeyChange { index: Index, removed: Buffer[], added: Buffer[] }

/** The documents built into a new index at a time. */
const buildChunk = 500

/**
 * A collection: a table `d<id>` of documents and a table `x<id>` of entries for each index but that of `_id`.
 */
export class Collection {
  readonly database: Database
  readonly id: number
  readonly name: string
  readonly uuid: UUID
  indexes: Index[]
  /** Grows with every change of a document, an index or the collection: what was read before may be stale. */
  changes = 0
  dropped = false
  #count: number | undefined
  #nextRid: number | undefined

  constructor (database: Database, id: number, name: string, uuid: UUID, indexes: Index[]) {
    this.database = database
    this.id = id
    this.name = name
    this.uuid = uuid
    this.indexes = indexes
  }

  get namespace (): string {
    return `${this.database.name}.${this.name}`
  }

  /** The number of documents. */
  get count (): number {
    this.#count ??= this.#number(`SELECT count(*) FROM d${this.id}`)
    return this.#count
  }

  #sql (text: string): StatementSync {
    return this.database.statement(text)
  }

  #number (text: string, ...values: Array<Uint8Array | number>): number {
    return (this.#sql(text).get(...values) as unknown as [number])[0]
  }

  /** The entries of an index in a range in order; without an index, the documents as they were inserted. */
  scan (index: Index | null, { lo, hi }: KeyRange, { after, reverse, limit }: ScanOptions): Entry[] {
    const documents = `d${this.id}`
    const rid = after?.rid ?? -1
    let found: unknown[]
    if (index === null) {
      found = this.#sql(`SELECT x'', rid, bson FROM ${documents} WHERE rid > ? ORDER BY rid LIMIT ?`)
        .all(rid, limit)
    } else if (index.isId) {
      const from = after === undefined || reverse ? lo : Buffer.concat([after.key, zero])
      const to = after !== undefined && reverse ? after.key : hi
      found = this.#sql(`SELECT id, rid, bson FROM ${documents} WHERE id >= ? AND id < ?
        ORDER BY id ${reverse ? 'DESC' : ''} LIMIT ?`).all(from, to, limit)
    } else {
      const select = `SELECT i.key, i.rid, d.bson
        FROM x${index.id} i CROSS JOIN ${documents} d ON d.rid = i.rid`
      found = reverse
        ? this.#sql(`${select} WHERE i.key >= ? AND (i.key, i.rid) < (?, ?)
          ORDER BY i.key DESC, i.rid DESC LIMIT ?`).all(lo, after?.key ?? hi, rid, limit)
        : this.#sql(`${select} WHERE (i.key, i.rid) > (?, ?) AND i.key < ? ORDER BY i.key, i.rid LIMIT ?`)
          .all(after?.key ?? lo, rid, hi, limit)
    }
    return found as Entry[]
  }

  /** How many entries of an index are in a range, counted no further than `cap`. */
  entries (index: Index, { lo, hi }: KeyRange, cap: number): number {
    const [table, key] = index.isId ? [`d${this.id}`, 'id'] : [`x${index.id}`, 'key']
    return this.#number(
      `SELECT count(*) FROM (SELECT 1 FROM ${table} WHERE ${key} >= ? AND ${key} < ? LIMIT ?)`, lo, hi, cap)
  }

  read (rid: number): Uint8Array | undefined {
    const row = this.#sql(`SELECT bson FROM d${this.id} WHERE rid = ?`).get(rid)
    return (row as unknown as [Uint8Array] | undefined)?.[0]
  }

  /** Stores a document with its index entries. Throws DuplicateKey, leaving nothing behind. */
  insert (bytes: Uint8Array, doc: Doc): void {
    this.#change(() => {
      const keys = this.indexes.map((index) => index.keys(doc, this.#noteArray(index)))
      for (const [i, index] of this.indexes.entries()) this.#refuseDuplicate(index, keys[i]!, doc, -1)
      this.#nextRid ??= this.#number(`SELECT coalesce(max(rid), 0) FROM d${this.id}`) + 1
      const rid = this.#nextRid++
      this.#sql(`INSERT INTO d${this.id} (rid, id, bson) VALUES (?, ?, ?)`).run(rid, keys[0]![0]!, bytes)
      for (const [i, index] of this.indexes.entries()) this.#addEntries(index, keys[i]!, rid)
      this.#recount(1)
    })
  }

  /** Replaces a document by one of the same `_id`. */
  replace (rid: number, old: Doc, bytes: Uint8Array, doc: Doc): void {
    this.#change(() => {
      const changes = this.indexes
        .filter((index) => !index.isId)
        .map((index) => keyChange(index, index.keys(old), index.keys(doc, this.#noteArray(index))))
      for (const { index, added } of changes) this.#refuseDuplicate(index, added, doc, rid)
      for (const { index, removed, added } of changes) {
        this.#removeEntries(index, removed, rid)
        this.#addEntries(index, added, rid)
      }
      this.#sql(`UPDATE d${this.id} SET bson = ? WHERE rid = ?`).run(bytes, rid)
    })
  }

  remove (rid: number, doc: Doc): void {
    this.#change(() => {
      for (const index of this.indexes) this.#removeEntries(index, index.keys(doc), rid)
      this.#sql(`DELETE FROM d${this.id} WHERE rid = ?`).run(rid)
      this.#recount(-1)
    })
  }

  /** Adds an index and builds it over the documents. Throws DuplicateKey, CannotIndexParallelArrays. */
  createIndex (spec: IndexSpec): void {
    this.#change(() => {
      const { lastInsertRowid } = this.#sql('INSERT INTO indexes (collection, spec, arrays) VALUES (?, ?, ?)')
        .run(this.id, encode(describeIndex(new Index(-1, spec))), '[]')
      const index = new Index(Number(lastInsertRowid), spec)
      this.database.sqlite.exec(`CREATE TABLE x${index.id}
        (key BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (key, rid)) WITHOUT ROWID`)
      this.#build(index)
      const { indexes } = this
      this.database.undo.push(() => { this.indexes = indexes })
      this.indexes = [...indexes, index]
    })
  }

  dropIndex (index: Index): void {
    this.#change(() => {
      const { indexes } = this
      this.database.undo.push(() => { this.indexes = indexes })
      this.indexes = indexes.filter((other) => other !== index)
      this.#sql('DELETE FROM indexes WHERE id = ?').run(index.id)
      this.database.dropTable(`x${index.id}`)
    })
  }

  #build (index: Index): void {
    for (let after: Position | undefined; ;) {
      const entries = this.scan(null, { lo: zero, hi: zero }, { after, limit: buildChunk })
      for (const [key, rid, bytes] of entries) {
        const doc = decode(bytes)
        const keys = index.keys(doc, this.#noteArray(index))
        this.#refuseDuplicate(index, keys, doc, rid)
        this.#addEntries(index, keys, rid)
        after = { key, rid }
      }
      if (entries.length < buildChunk) return
    }
  }

  #change (change: () => void): void {
    this.changes++
    this.database.write()
    this.database.atomic(change)
  }

  #recount (change: number): void {
    if (this.#count === undefined) return
    this.#count += change
    this.database.undo.push(() => { if (this.#count !== undefined) this.#count -= change })
  }

  #addEntries (index: Index, keys: Buffer[], rid: number): void {
    if (index.isId) return
    const insert = this.#sql(`INSERT INTO x${index.id} (key, rid) VALUES (?, ?)`)
    for (const key of keys) insert.run(key, rid)
  }

  #removeEntries (index: Index, keys: Buffer[], rid: number): void {
    if (index.isId) return
    const remove = this.#sql(`DELETE FROM x${index.id} WHERE key = ? AND rid = ?`)
    for (const key of keys) remove.run(key, rid)
  }

  #refuseDuplicate (index: Index, keys: Buffer[], doc: Doc, rid: number): void {
    if (!index.unique) return
    const [table, column] = index.isId ? [`d${this.id}`, 'id'] : [`x${index.id}`, 'key']
    const find = this.#sql(`SELECT rid FROM ${table} WHERE ${column} = ? AND rid <> ? LIMIT 1`)
    for (const key of keys) {
      if (find.get(key, rid) !== undefined) throw duplicateKey(this.namespace, index, doc, key)
    }
  }

  /** Records that a part of an index has met an array, which changes how the index may be used. */
  #noteArray (index: Index): (part: number) => void {
    return (part) => {
      if (index.arrays.has(part)) return
      index.arrays.add(part)
      this.database.undo.push(() => { index.arrays.delete(part) })
      this.#sql('UPDATE indexes SET arrays = ? WHERE id = ?').run(storedArrays(index.arrays), index.id)
    }
  }
}

const zero = Buffer.from([0])

function keyChange (index: Index, before: Buffer[], after: Buffer[]): KeyChange {
  const text = (key: Buffer): string => key.toString('latin1')
  const [had, has] = [new Set(before.map(text)), new Set(after.map(text))]
  return {
    index,
    removed: before.filter((key) => !has.has(text(key))),
    added: after.filter((key) => !had.has(text(key)))
  }
}
