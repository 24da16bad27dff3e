import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Logger } from 'pino'
import { StartError } from '../../processes/start-error.ts'
import { decode } from '../bson/encoding.ts'
import { invert, keyOf, order } from '../bson/keys.ts'
import { CommandError } from '../errors.ts'
import type { Collection } from './collection.ts'
import { Database, touch } from './database.ts'
import type { Index } from './indexes.ts'

/** A data directory, held by one process at a time, and its databases. */
export class Storage {
  /** Transactions committed: writes that arrive together share one. */
  commits = 0
  #directory: string
  #lock: DatabaseSync
  #databases = new Map<string, Database>()
  /** The databases with a transaction to commit. */
  #uncommitted = new Set<Database>()
  #waiting: Array<(error?: Error) => void> = []
  #scheduled = false
  /** Whether more than one waited for the last commit. */
  #shared = false

  /** Throws StartError if another process holds the directory or a file in it is damaged. */
  constructor (directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#lock = lock(directory)
    for (const file of readdirSync(directory)) {
      if (!file.endsWith('.sqlite')) continue
      try {
        const damage = this.#open(decodeURIComponent(file.slice(0, -'.sqlite'.length))).damage()
        if (damage !== undefined) throw new Error(damage)
      } catch (error) {
        this.close()
        const [reason] = (error as Error).message.split('\n')
        const path = join(directory, file)
        throw new StartError(`data file ${path} cannot be read, it may be corrupted: ${reason}`)
      }
    }
  }

  #open (name: string): Database {
    const file = join(this.#directory, `${encodeURIComponent(name)}.sqlite`)
    const database = new Database(name, file, (begun) => {
      this.#uncommitted.add(begun)
      this.#schedule()
    })
    this.#databases.set(name, database)
    return database
  }

  /** The databases that have a collection. */
  get databases (): Database[] {
    return [...this.#databases.values()].filter(({ collections }) => collections.size > 0)
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
      if (other.toLowerCase() !== name.toLowerCase()) continue
      throw new CommandError('DatabaseDifferCase',
        `db already exists with different case already have: [${other}] trying to create [${name}]`)
    }
    return this.#open(name)
  }

  drop (name: string): void {
    this.flush()
    this.#databases.get(name)?.delete()
    this.#databases.delete(name)
  }

  /** Whether writes await their commit. */
  get pending (): boolean {
    return this.#uncommitted.size > 0
  }

  /** Calls back once everything written so far is on disk, or could not be put there. */
  whenCommitted (done: (error?: Error) => void): void {
    this.#waiting.push(done)
    this.#schedule()
  }

  #schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#gather(0, 0)
  }

  /**
   * Commits after the poll phase, so that every write that has arrived by then takes part. Where the last
   * commit was shared, it waits up to three more turns, as long as more writes come.
   */
  #gather (turns: number, before: number): void {
    setImmediate(() => {
      const now = this.#waiting.length
      if (this.#shared && turns < 3 && now > before) return this.#gather(turns + 1, now)
      this.#scheduled = false
      this.flush()
    })
  }

  /** Commits what is open, now. */
  flush (): void {
    let failure: Error | undefined
    for (const database of this.#uncommitted) {
      try {
        database.commit()
        this.commits++
      } catch (error) {
        failure = error as Error
        database.rollback()
      }
    }
    this.#uncommitted.clear()
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

/** A lock that the operating system releases when the process ends, however it ends. */
function lock (directory: string): DatabaseSync {
  const file = join(directory, 'lock')
  touch(file)
  const sqlite = new DatabaseSync(file)
  try {
    sqlite.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return sqlite
  } catch (error) {
    sqlite.close()
    const { message } = error as Error
    if (/locked|busy/.test(message)) {
      throw new StartError(`data directory ${directory} is in use by another process`)
    }
    throw new StartError(`data directory ${directory} cannot be locked: ${message}`)
  }
}

/** The most documents of one index that are deleted at a time. */
const maxDeleted = 1000

/** Deletes the documents that have expired by their TTL indexes; returns how many. */
export function expire (storage: Storage, logger: Logger, now = Date.now()): number {
  let deleted = 0
  const collections = storage.databases.flatMap((database) => [...database.collections.values()])
  for (const collection of collections) {
    for (const index of collection.indexes) {
      const { seconds } = index.spec
      if (seconds === undefined) continue
      try {
        deleted += expireBy(collection, index, new Date(now - seconds * 1000))
      } catch (error) {
        const reason = (error as Error).message
        logger.error({ collection: collection.namespace, reason }, 'expired documents could not be deleted')
      }
    }
  }
  return deleted
}

/** A document expires by the earliest of its dates; one without a date never does. */
function expireBy (collection: Collection, index: Index, before: Date): number {
  const range = index.parts[0]!.direction > 0
    ? { lo: Buffer.from([order.date]), hi: Buffer.concat([keyOf(before), Buffer.from([0xff])]) }
    : { lo: invert(keyOf(before)), hi: invert(Buffer.from([order.date - 1])) }
  const entries = collection.scan(index, range, { limit: maxDeleted })
  const documents = new Map(entries.map(([, rid, bytes]) => [rid, bytes]))
  for (const [rid, bytes] of documents) collection.remove(rid, decode(bytes))
  return documents.size
}
