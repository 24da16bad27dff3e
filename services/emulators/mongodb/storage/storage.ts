import { closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import type { StatementSync } from 'node:sqlite'
import { DatabaseSync } from 'node:sqlite'
import { UUID } from 'bson'
import type { Doc, Value } from '../bson/bson.ts'
import { decode, encode, loose, namesOf } from '../bson/bson.ts'
import { CommandError, StartError } from '../errors.ts'
import type { Filter } from '../query/filter.ts'
import { matches, parseFilter } from '../query/filter.ts'
import type { KeyPart } from '../bson/keys.ts'
import { documentKeys, keyOf, keyParts } from '../bson/keys.ts'

export type Row = [key: Uint8Array, rid: number, bytes: Uint8Array]

/** An index: `spec` is what listIndexes tells. Entries are (key, rid); those of `_id` lie in the documents' own table. */
export class Index {
  id: number
  name: string
  spec: Doc
  parts: KeyPart[]
  unique: boolean
  sparse: boolean
  partial: Filter | undefined
  /** For each part the depths of its path at which arrays were seen, ever. */
  arrays: Array<Set<number>>
  expireAfterSeconds: number | undefined
  isId: boolean
  tops: Set<string>

  constructor (id: number, spec: Doc, arrays: number[][] = []) {
    this.id = id
    this.name = spec.name
    this.spec = spec
    this.parts = keyParts(spec.key)
    this.isId = id === 0
    this.unique = spec.unique === true || this.isId
    this.sparse = spec.sparse === true
    this.partial = spec.partialFilterExpression === undefined ? undefined : parseFilter(spec.partialFilterExpression)
    this.arrays = this.parts.map((_, i) => new Set(arrays[i]))
    this.expireAfterSeconds = spec.expireAfterSeconds === undefined ? undefined : Number(spec.expireAfterSeconds)
    this.tops = new Set(this.parts.map((part) => part.names[0]!))
    if (this.partial !== undefined) for (const path of paths(this.partial)) this.tops.add(path.split('.')[0]!)
  }

  get multikey (): boolean {
    return this.arrays.some((depths) => depths.size > 0)
  }

  keys (doc: Doc, seen?: (part: number, depth: number) => void): Buffer[] {
    if (this.partial !== undefined && !matches(this.partial, doc)) return []
    return documentKeys(doc, this.parts, seen, this.sparse) ?? []
  }
}

function paths (filter: Filter): string[] {
  switch (filter.kind) {
    case 'leaf': return [filter.path]
    case 'not': return paths(filter.part)
    default: return filter.parts.flatMap(paths)
  }
}

interface Insertion { rid: number, bytes: Uint8Array }

/** A collection and its indexes in one SQLite file. */
export class Collection {
  database: Database
  id: number
  name: string
  uuid: UUID
  options: Doc
  indexes: Index[]
  /** Grows with every change of a document, an index or the collection itself: what was read before may be stale. */
  changes = 0
  dropped = false
  #count: number | undefined
  #nextRid: number | undefined

  constructor (database: Database, id: number, name: string, uuid: UUID, options: Doc, indexes: Index[]) {
    this.database = database
    this.id = id
    this.name = name
    this.uuid = uuid
    this.options = options
    this.indexes = indexes
  }

  get namespace (): string {
    return `${this.database.name}.${this.name}`
  }

  get count (): number {
    this.#count ??= this.#sql(`SELECT count(*) FROM d${this.id}`).get()![0] as number
    return this.#count
  }

  #sql (text: string): { get: (...p: Value[]) => Value[] | undefined, all: (...p: Value[]) => Value[], run: (...p: Value[]) => Value } {
    return this.database.statement(text) as Value
  }

  /** Entries of an index with lo <= key < hi in key order, after (or, backwards, before) entry `after`, with their documents. */
  scan (index: Index, lo: Uint8Array, hi: Uint8Array, after: { key: Uint8Array, rid: number } | undefined, reverse: boolean, limit: number, keysOnly = false): Row[] {
    const bytes = keysOnly ? '' : index.isId ? ', bson' : ', d.bson'
    if (index.isId) {
      if (after !== undefined) {
        if (reverse) hi = after.key
        else lo = Buffer.concat([after.key, zero])
      }
      return this.#sql(`SELECT id, rid${bytes} FROM d${this.id} WHERE id >= ? AND id < ? ORDER BY id ${reverse ? 'DESC' : ''} LIMIT ?`).all(lo, hi, limit)
    }
    const from = keysOnly ? `x${index.id} i` : `x${index.id} i CROSS JOIN d${this.id} d ON d.rid = i.rid`
    if (reverse) {
      return this.#sql(`SELECT i.key, i.rid${bytes} FROM ${from} WHERE i.key >= ? AND (i.key, i.rid) < (?, ?) ORDER BY i.key DESC, i.rid DESC LIMIT ?`)
        .all(lo, after?.key ?? hi, after?.rid ?? -1, limit)
    }
    return this.#sql(`SELECT i.key, i.rid${bytes} FROM ${from} WHERE (i.key, i.rid) > (?, ?) AND i.key < ? ORDER BY i.key, i.rid LIMIT ?`)
      .all(after?.key ?? lo, after?.rid ?? -1, hi, limit)
  }

  /** Documents in the order of their insertion. */
  walk (after: number | undefined, reverse: boolean, limit: number): Array<[rid: number, bytes: Uint8Array]> {
    return reverse
      ? this.#sql(`SELECT rid, bson FROM d${this.id} WHERE rid < ? ORDER BY rid DESC LIMIT ?`).all(after ?? Number.MAX_SAFE_INTEGER, limit)
      : this.#sql(`SELECT rid, bson FROM d${this.id} WHERE rid > ? ORDER BY rid LIMIT ?`).all(after ?? -1, limit)
  }

  /** How many entries of an index lie in lo <= key < hi, counted no further than `cap`. */
  entries (index: Index, lo: Uint8Array, hi: Uint8Array, cap: number): number {
    const [table, key] = index.isId ? [`d${this.id}`, 'id'] : [`x${index.id}`, 'key']
    return this.#sql(`SELECT count(*) FROM (SELECT 1 FROM ${table} WHERE ${key} >= ? AND ${key} < ? LIMIT ?)`).get(lo, hi, cap)![0]
  }

  read (rid: number): Uint8Array | undefined {
    return this.#sql(`SELECT bson FROM d${this.id} WHERE rid = ?`).get(rid)?.[0]
  }

  ridOf (id: Value): number | undefined {
    return this.#sql(`SELECT rid FROM d${this.id} WHERE id = ?`).get(keyOf(id))?.[0]
  }

  /** Stores a document with its index entries. Throws DuplicateKey, leaving nothing behind. */
  insert (bytes: Uint8Array, doc: Doc): Insertion {
    this.changes++
    this.database.write()
    return this.database.atomic(() => {
      const changes = this.indexes.map((index) => index.isId ? [keyOf(doc._id)] : index.keys(doc, this.#seen(index)))
      for (let i = 0; i < changes.length; i++) this.#refuseDuplicate(this.indexes[i]!, changes[i]!, doc, -1)
      this.#nextRid ??= (this.#sql(`SELECT max(rid) FROM d${this.id}`).get()![0] ?? 0) + 1
      const rid = this.#nextRid!++
      this.#sql(`INSERT INTO d${this.id} (rid, id, bson) VALUES (?, ?, ?)`).run(rid, changes[0]![0], bytes)
      for (let i = 1; i < changes.length; i++) this.#addEntries(this.indexes[i]!, changes[i]!, rid)
      this.#recount(1)
      return { rid, bytes }
    })
  }

  /** Puts a document in another's place. `touched` names the top-level fields that may differ; null for all. */
  replace (rid: number, old: Doc, bytes: Uint8Array, doc: Doc, touched: Set<string> | null): void {
    this.changes++
    this.database.write()
    this.database.atomic(() => {
      const changes: Array<[Index, Buffer[], Buffer[]]> = []
      for (const index of this.indexes) {
        if (index.isId || (touched !== null && index.tops.isDisjointFrom(touched))) continue
        const before = index.keys(old)
        const after = index.keys(doc, this.#seen(index))
        if (before.length === 1 && after.length === 1) {
          if (before[0]!.equals(after[0]!)) continue
          changes.push([index, before, after])
          continue
        }
        const had = new Set(before.map((key) => key.toString('latin1')))
        const has = new Set(after.map((key) => key.toString('latin1')))
        const gone = before.filter((key) => !has.has(key.toString('latin1')))
        const come = after.filter((key) => !had.has(key.toString('latin1')))
        if (gone.length > 0 || come.length > 0) changes.push([index, gone, come])
      }
      for (const [index, , come] of changes) this.#refuseDuplicate(index, come, doc, rid)
      for (const [index, gone, come] of changes) {
        this.#removeEntries(index, gone, rid)
        this.#addEntries(index, come, rid)
      }
      this.#sql(`UPDATE d${this.id} SET bson = ? WHERE rid = ?`).run(bytes, rid)
    })
  }

  remove (rid: number, doc: Doc): void {
    this.changes++
    this.database.write()
    this.database.atomic(() => {
      for (const index of this.indexes) if (!index.isId) this.#removeEntries(index, index.keys(doc), rid)
      this.#sql(`DELETE FROM d${this.id} WHERE rid = ?`).run(rid)
      this.#recount(-1)
    })
  }

  #recount (change: number): void {
    if (this.#count === undefined) return
    this.#count += change
    this.database.undo.push(() => { if (this.#count !== undefined) this.#count -= change })
  }

  #addEntries (index: Index, keys: Buffer[], rid: number): void {
    const insert = this.#sql(`INSERT INTO x${index.id} (key, rid) VALUES (?, ?)`)
    for (const key of keys) insert.run(key, rid)
  }

  #removeEntries (index: Index, keys: Buffer[], rid: number): void {
    const remove = this.#sql(`DELETE FROM x${index.id} WHERE key = ? AND rid = ?`)
    for (const key of keys) remove.run(key, rid)
  }

  #refuseDuplicate (index: Index, keys: Buffer[], doc: Doc, rid: number): void {
    if (!index.unique) return
    const find = index.isId ? this.#sql(`SELECT rid FROM d${this.id} WHERE id = ?`) : this.#sql(`SELECT rid FROM x${index.id} WHERE key = ? AND rid <> ? LIMIT 1`)
    for (const key of keys) {
      if ((index.isId ? find.get(key) : find.get(key, rid)) !== undefined) throw duplicateKey(this, index, doc, key)
    }
  }

  #seen (index: Index): (part: number, depth: number) => void {
    return (part, depth) => {
      if (index.arrays[part]!.has(depth)) return
      index.arrays[part]!.add(depth)
      this.database.undo.push(() => index.arrays[part]!.delete(depth))
      this.#sql('UPDATE indexes SET arrays = ? WHERE id = ?').run(JSON.stringify(index.arrays.map((depths) => [...depths])), index.id)
    }
  }

  /** Adds an index and builds it over the documents there are. Throws DuplicateKey, CannotIndexParallelArrays. */
  createIndex (spec: Doc): void {
    const { database } = this
    database.write()
    database.atomic(() => {
      const { lastInsertRowid } = this.#sql('INSERT INTO indexes (collection, spec, arrays) VALUES (?, ?, ?)').run(this.id, encode(spec), '[]')
      const index = new Index(Number(lastInsertRowid), spec)
      database.sqlite.exec(`CREATE TABLE x${index.id} (key BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (key, rid)) WITHOUT ROWID`)
      let after: number | undefined
      for (;;) {
        const rows = this.walk(after, false, 500)
        if (rows.length === 0) break
        for (const [rid, bytes] of rows) {
          const doc = decode(bytes)
          const keys = index.keys(doc, this.#seen(index))
          this.#refuseDuplicate(index, keys, doc, rid)
          this.#addEntries(index, keys, rid)
          after = rid
        }
      }
      this.indexes.push(index)
      database.undo.push(() => { this.indexes = this.indexes.filter((other) => other !== index) })
    })
  }

  dropIndex (index: Index): void {
    this.changes++
    this.database.write()
    this.database.atomic(() => {
      this.#sql('DELETE FROM indexes WHERE id = ?').run(index.id)
      this.database.sqlite.exec(`DROP TABLE x${index.id}`)
      this.indexes = this.indexes.filter((other) => other !== index)
    })
    this.database.forget()
  }

  /** Changes what an index says of itself, not its entries (collMod's expireAfterSeconds). */
  describeIndex (index: Index, spec: Doc): void {
    this.database.write()
    this.#sql('UPDATE indexes SET spec = ? WHERE id = ?').run(encode(spec), index.id)
    this.indexes = this.indexes.map((other) => other === index ? new Index(index.id, spec, index.arrays.map((depths) => [...depths])) : other)
  }

  size (): number {
    return this.#sql(`SELECT total(length(bson)) FROM d${this.id}`).get()![0]
  }
}

const zero = Buffer.from([0])

function duplicateKey (collection: Collection, index: Index, doc: Doc, key: Buffer): CommandError {
  const keyValue: Doc = {}
  let values: Value[] = []
  const firstOf = (value: Value, names: string[]): Value => {
    for (const name of names) value = Array.isArray(value) ? value.map((item) => item?.[name]).find((item) => item !== undefined) : value?.[name]
    return value
  }
  if (index.multikey) values = elementsWithKey(doc, index, key) ?? []
  for (const [i, part] of index.parts.entries()) keyValue[part.path] = values[i] ?? firstOf(doc, part.names) ?? null
  const shown = Object.keys(keyValue).map((path) => `${path}: ${showValue(keyValue[path])}`).join(', ')
  return new CommandError('DuplicateKey', `E11000 duplicate key error collection: ${collection.namespace} index: ${index.name} dup key: { ${shown} }`, { keyPattern: index.spec.key, keyValue })
}

/** The array element that made a key of a one-part multikey index. */
function elementsWithKey (doc: Doc, index: Index, key: Buffer): Value[] | undefined {
  if (index.parts.length !== 1) return undefined
  const [part] = index.parts
  const candidates: Value[] = []
  const collect = (value: Value, depth: number): void => {
    if (Array.isArray(value)) for (const item of value) collect(item, depth)
    else if (depth === part!.names.length) candidates.push(value)
    else if (typeof value === 'object' && value !== null) collect(value[part!.names[depth]!], depth + 1)
  }
  collect(doc, 0)
  return candidates.filter((value) => {
    const own = keyOf(value ?? null)
    return part!.direction > 0 ? own.equals(key) : own.every((byte, i) => (~byte & 0xff) === key[i])
  }).slice(0, 1)
}

/** A value as the server writes it into messages. */
export function showValue (value: Value): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return `"${value}"`
  if (typeof value !== 'object') return String(value)
  if (value instanceof Date) return `new Date(${value.getTime()})`
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(showValue).join(', ')} ]`
  switch (value._bsontype) {
    case undefined: {
      const names = namesOf(value)
      return names.length === 0 ? '{}' : `{ ${names.map((name) => `${name}: ${showValue(value[name])}`).join(', ')} }`
    }
    case 'ObjectId': return `ObjectId('${value.toHexString()}')`
    case 'Binary': return value.sub_type === 4 ? `UUID("${value.toUUID().toString()}")` : `BinData(${value.sub_type}, ${value.toString('hex').toUpperCase()})`
    case 'Double': return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value)
    case 'Timestamp': return `Timestamp(${value.high >>> 0}, ${value.low >>> 0})`
    case 'MinKey':
    case 'MaxKey': return value._bsontype
    case 'BSONRegExp': return `/${value.pattern}/${value.options}`
    default: return String(value)
  }
}

/** One MongoDB database: one SQLite file. */
export class Database {
  name: string
  sqlite: DatabaseSync
  collections = new Map<string, Collection>()
  /** Whether a transaction is open. */
  open = false
  /** What to take back in memory if the change under way fails. */
  undo: Array<() => void> = []
  #file: string
  #statements = new Map<string, StatementSync>()
  #begun: (database: Database) => void
  #nested = false

  constructor (name: string, file: string, begun: (database: Database) => void) {
    this.name = name
    this.#file = file
    this.#begun = begun
    touch(file)
    this.sqlite = new DatabaseSync(file)
    try {
      // exclusive locking keeps the WAL index in memory: no -shm file and no lock calls
      this.sqlite.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY')
      this.sqlite.exec(`
        CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, options BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS indexes (id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, spec BLOB NOT NULL, arrays TEXT NOT NULL);
      `)
      this.#load()
    } catch (error) {
      this.sqlite.close()
      throw error
    }
  }

  #load (): void {
    for (const collection of this.collections.values()) {
      collection.dropped = true
      collection.changes++
    }
    this.collections.clear()
    for (const [id, name, uuid, options] of this.statement('SELECT id, name, uuid, options FROM collections').all() as Value[]) {
      const indexes = [new Index(0, idIndex)]
      for (const [indexId, spec, arrays] of this.statement('SELECT id, spec, arrays FROM indexes WHERE collection = ? ORDER BY id').all(id) as Value[]) {
        indexes.push(new Index(indexId, loose(decode(spec)), JSON.parse(arrays)))
      }
      this.collections.set(name, new Collection(this, id, name, new UUID(uuid), loose(decode(options)), indexes))
    }
  }

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
    if (this.open) return
    this.statement('BEGIN IMMEDIATE').run()
    this.open = true
    this.#begun(this)
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
      for (const back of this.undo.reverse()) back()
      throw error
    } finally {
      this.undo.length = 0
      this.#nested = false
    }
  }

  commit (): void {
    if (!this.open) return
    this.open = false
    this.statement('COMMIT').run()
  }

  /** Gives up the open transaction and what was known of it. */
  rollback (): void {
    this.open = false
    if (this.sqlite.isTransaction) this.sqlite.exec('ROLLBACK')
    this.#load()
  }

  createCollection (name: string, options: Doc = {}): Collection {
    this.write()
    return this.atomic(() => {
      const uuid = new UUID()
      const { lastInsertRowid } = this.statement('INSERT INTO collections (name, uuid, options) VALUES (?, ?, ?)').run(name, uuid.toHexString(), encode(options))
      const id = Number(lastInsertRowid)
      this.sqlite.exec(`CREATE TABLE d${id} (rid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, bson BLOB NOT NULL)`)
      const collection = new Collection(this, id, name, uuid, options, [new Index(0, idIndex)])
      this.collections.set(name, collection)
      this.undo.push(() => this.collections.delete(name))
      return collection
    })
  }

  dropCollection (collection: Collection): void {
    collection.dropped = true
    collection.changes++
    this.write()
    this.atomic(() => {
      for (const index of collection.indexes) if (!index.isId) this.sqlite.exec(`DROP TABLE x${index.id}`)
      this.sqlite.exec(`DROP TABLE d${collection.id}`)
      this.statement('DELETE FROM indexes WHERE collection = ?').run(collection.id)
      this.statement('DELETE FROM collections WHERE id = ?').run(collection.id)
      this.collections.delete(collection.name)
      this.undo.push(() => this.collections.set(collection.name, collection))
    })
    this.forget()
  }

  /** Lets go of prepared statements, some of which are on tables that are gone. */
  forget (): void {
    this.#statements.clear()
  }

  bytes (): number {
    return statSync(this.#file).size
  }

  /** One line on what is wrong with the file, undefined if nothing is. */
  damage (): string | undefined {
    const [line] = this.statement('PRAGMA quick_check(1)').get() as Value
    return line === 'ok' ? undefined : line
  }

  close (): void {
    this.commit()
    this.#statements.clear()
    this.sqlite.close()
  }

  delete (): void {
    this.close()
    for (const suffix of ['', '-wal', '-shm', '-journal']) {
      if (existsSync(this.#file + suffix)) unlinkSync(this.#file + suffix)
    }
  }
}

const idIndex = { v: 2, key: { _id: 1 }, name: '_id_' }

/** A data directory, held by one process at a time, and its databases. */
export class Storage {
  /** Transactions committed: writes that arrive together share one. */
  commits = 0
  #directory: string
  #lock: DatabaseSync
  #databases = new Map<string, Database>()
  #open = new Set<Database>()
  #waiting: Array<(error?: Error) => void> = []
  #scheduled = false
  #shared = false

  /** Throws StartError if another process holds the directory or a file in it is damaged. */
  constructor (directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#lock = lock(directory)
    for (const file of readdirSync(directory)) {
      if (!file.endsWith('.sqlite')) continue
      const path = joinPath(directory, file)
      try {
        const database = this.#openDatabase(decodeURIComponent(file.slice(0, -7)))
        const damage = database.damage()
        if (damage !== undefined) throw new Error(damage)
      } catch (error) {
        this.close()
        throw new StartError(`data file ${path} cannot be read, it may be corrupted: ${(error as Error).message.split('\n')[0]}`)
      }
    }
  }

  #openDatabase (name: string): Database {
    const file = joinPath(this.#directory, `${encodeURIComponent(name)}.sqlite`)
    const database = new Database(name, file, (opened) => {
      this.#open.add(opened)
      this.#schedule()
    })
    this.#databases.set(name, database)
    return database
  }

  get databases (): Database[] {
    return [...this.#databases.values()].filter((database) => database.collections.size > 0)
  }

  collection (database: string, name: string): Collection | undefined {
    return this.#databases.get(database)?.collections.get(name)
  }

  database (name: string): Database | undefined {
    return this.#databases.get(name)
  }

  /** The database of that name, made if there is none. Throws DatabaseDifferCase. */
  create (name: string): Database {
    const known = this.#databases.get(name)
    if (known !== undefined) return known
    for (const other of this.#databases.keys()) {
      if (other.toLowerCase() === name.toLowerCase()) throw new CommandError('DatabaseDifferCase', `db already exists with different case already have: [${other}] trying to create [${name}]`)
    }
    return this.#openDatabase(name)
  }

  drop (name: string): void {
    const database = this.#databases.get(name)
    if (database === undefined) return
    this.flush()
    for (const collection of database.collections.values()) {
      collection.dropped = true
      collection.changes++
    }
    this.#databases.delete(name)
    database.delete()
  }

  /** Whether writes await their commit; what was read meanwhile is not yet sure either. */
  get pending (): boolean {
    return this.#open.size > 0
  }

  /** Calls back once all that was written so far is on disk, or could not be put there. */
  whenCommitted (done: (error?: Error) => void): void {
    this.#waiting.push(done)
    this.#schedule()
  }

  #schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#turn(0, 0)
  }

  /**
   * Commits after the poll phase, so that every write that has arrived by then takes part.
   * Where the last commit was shared, it looks for more once or twice, as long as more come.
   */
  #turn (turns: number, had: number): void {
    setImmediate(() => {
      const has = this.#waiting.length
      if (this.#shared && turns < 3 && has > had) {
        this.#turn(turns + 1, has)
        return
      }
      this.#scheduled = false
      this.flush()
    })
  }

  /** Commits what is open, now. */
  flush (): void {
    let failure: Error | undefined
    for (const database of this.#open) {
      try {
        database.commit()
        this.commits++
      } catch (error) {
        failure = error as Error
        database.rollback()
      }
    }
    this.#open.clear()
    const waiting = this.#waiting
    this.#shared = waiting.length > 1
    this.#waiting = []
    for (const done of waiting) done(failure)
  }

  close (): void {
    this.flush()
    for (const database of this.#databases.values()) database.close()
    this.#databases.clear()
    if (this.#lock.isOpen) this.#lock.close()
  }
}

/** Makes a file that only its owner may read, before SQLite would make it otherwise. */
function touch (file: string): void {
  closeSync(openSync(file, 'a', 0o600))
}

/** A lock that the operating system lets go when the process dies, however it dies. */
function lock (directory: string): DatabaseSync {
  const file = joinPath(directory, 'lock')
  touch(file)
  const sqlite = new DatabaseSync(file)
  try {
    sqlite.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return sqlite
  } catch (error) {
    sqlite.close()
    const busy = /locked|busy/.test((error as Error).message)
    throw new StartError(busy ? `data directory ${directory} is in use by another process` : `data directory ${directory} cannot be locked: ${(error as Error).message}`)
  }
}
