import { closeSync, openSync, rmSync } from 'node:fs'
import type { StatementSync } from 'node:sqlite'
import { DatabaseSync } from 'node:sqlite'
import { UUID } from 'bson'
import { decode, encode } from '../bson/encoding.ts'
import { Collection } from './collection.ts'
import { Index, idSpec, parseArrays, parseSpec } from './indexes.ts'

// exclusive locking keeps the WAL index in memory: no -shm file and no lock calls
const settings = `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY`
const tables = `
  CREATE TABLE IF NOT EXISTS collections
    (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, options BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS indexes
    (id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, spec BLOB NOT NULL, arrays TEXT NOT NULL)`

/** Makes a file that only its owner may read, before SQLite would make it otherwise. */
export function touch (file: string): void {
  closeSync(openSync(file, 'a', 0o600))
}

/** One MongoDB database: one SQLite file. */
export class Database {
  readonly name: string
  readonly sqlite: DatabaseSync
  readonly collections = new Map<string, Collection>()
  /** How to restore what is kept in memory if the change under way fails. */
  readonly undo: Array<() => void> = []
  #file: string
  #statements = new Map<string, StatementSync>()
  #onBegin: (database: Database) => void
  #inTransaction = false
  #nested = false

  /** `onBegin` is called when a transaction begins that has to be committed. */
  constructor (name: string, file: string, onBegin: (database: Database) => void) {
    this.name = name
    this.#file = file
    this.#onBegin = onBegin
    touch(file)
    this.sqlite = new DatabaseSync(file)
    try {
      this.sqlite.exec(settings)
      this.sqlite.exec(tables)
      this.#load()
    } catch (error) {
      this.sqlite.close()
      throw error
    }
  }

  #load (): void {
    for (const collection of this.collections.values()) markDropped(collection)
    this.collections.clear()
    const rows = this.statement('SELECT id, name, uuid FROM collections').all()
    for (const [id, name, uuid] of rows as unknown as Array<[number, string, string]>) {
      const indexes = [new Index(0, idSpec), ...this.#indexesOf(id)]
      this.collections.set(name, new Collection(this, id, name, new UUID(uuid), indexes))
    }
  }

  /** The indexes of a collection. One of a kind that is no longer supported is deleted. */
  #indexesOf (collection: number): Index[] {
    const rows = this.statement('SELECT id, spec, arrays FROM indexes WHERE collection = ? ORDER BY id')
      .all(collection)
    return (rows as unknown as Array<[number, Uint8Array, string]>).flatMap(([id, stored, arrays]) => {
      const spec = parseSpec(decode(stored))
      if (spec !== undefined) return [new Index(id, spec, parseArrays(arrays, spec))]
      this.sqlite.exec(`DROP TABLE x${id}; DELETE FROM indexes WHERE id = ${id}`)
      return []
    })
  }

  /** A prepared statement, whose rows are arrays. */
  statement (text: string): StatementSync {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.sqlite.prepare(text)
      statement.setReturnArrays(true)
      this.#statements.set(text, statement)
    }
    return statement
  }

  /** Opens the transaction that gathers writes until the next commit, if it is not open. */
  write (): void {
    if (this.#inTransaction) return
    this.statement('BEGIN IMMEDIATE').run()
    this.#inTransaction = true
    this.#onBegin(this)
  }

  /** Runs a change so that either all of it or nothing is in the open transaction. */
  atomic<T> (change: () => T): T {
    if (this.#nested) return change()
    this.statement('SAVEPOINT one').run()
    this.#nested = true
    try {
      const result = change()
      this.statement('RELEASE one').run()
      return result
    } catch (error) {
      // SQLite ends the whole transaction by itself on a full disk or an I/O error
      if (this.sqlite.isTransaction) {
        this.statement('ROLLBACK TO one').run()
        this.statement('RELEASE one').run()
      }
      for (const restore of this.undo.toReversed()) restore()
      throw error
    } finally {
      this.undo.length = 0
      this.#nested = false
    }
  }

  commit (): void {
    if (!this.#inTransaction) return
    this.#inTransaction = false
    this.statement('COMMIT').run()
  }

  /** Gives up the open transaction and what is kept in memory of it. */
  rollback (): void {
    this.#inTransaction = false
    if (this.sqlite.isTransaction) this.sqlite.exec('ROLLBACK')
    this.#load()
  }

  createCollection (name: string): Collection {
    this.write()
    return this.atomic(() => {
      const uuid = new UUID()
      const { lastInsertRowid } = this
        .statement('INSERT INTO collections (name, uuid, options) VALUES (?, ?, ?)')
        .run(name, uuid.toHexString(), encode({}))
      const id = Number(lastInsertRowid)
      this.sqlite.exec(`CREATE TABLE d${id}
        (rid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, bson BLOB NOT NULL)`)
      const collection = new Collection(this, id, name, uuid, [new Index(0, idSpec)])
      this.collections.set(name, collection)
      this.undo.push(() => this.collections.delete(name))
      return collection
    })
  }

  /** Drops a table, with the statements prepared for it. */
  dropTable (name: string): void {
    this.sqlite.exec(`DROP TABLE ${name}`)
    this.#statements.clear()
  }

  /** One line on the damage of the file, undefined if there is none. */
  damage (): string | undefined {
    const [line] = this.statement('PRAGMA quick_check(1)').get() as unknown as [string]
    return line === 'ok' ? undefined : line
  }

  close (): void {
    this.commit()
    this.#statements.clear()
    this.sqlite.close()
  }

  delete (): void {
    for (const collection of this.collections.values()) markDropped(collection)
    this.close()
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(this.#file + suffix, { force: true })
  }
}

function markDropped (collection: Collection): void {
  collection.dropped = true
  collection.changes++
}
