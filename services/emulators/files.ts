import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const SQLITE_BUSY = 5

/** A lock that ends with the process at the latest, whatever ends it. */
export interface Lock {
  close (): void
}

/**
 * Locks `file` with a lock of SQLite, and creates it if needed; undefined if another process holds the lock.
 *
 * @throws {Error} if the file cannot be used
 */
export function lockFile (file: string): Lock | undefined {
  const lock = new DatabaseSync(file)
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined
    throw error
  }
}

/** Replaces a file as a whole: readers see the old content or the new one, also after a crash. */
export function replaceFile (file: string, content: string | Buffer, mode = 0o600) {
  writeFileSync(`${file}.new`, content, { mode, flush: true })
  renameSync(`${file}.new`, file)
  // Makes the renaming durable
  const directory = openSync(dirname(file), 'r')
  fsyncSync(directory)
  closeSync(directory)
}
