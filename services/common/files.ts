import {
  closeSync, fsyncSync, linkSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync
} from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const SQLITE_BUSY = 5

/** A lock that ends with the process at the latest, whatever ends it. */
export interface Lock {
  close (): void
}

/**
 * Locks `file` with a lock of SQLite, and creates it if needed; undefined if another process still holds the
 * lock after `waitMs`, during which this process does nothing else.
 *
 * @throws {Error} if the file cannot be used
 */
export function lockFile (file: string, waitMs = 0): Lock | undefined {
  const lock = new DatabaseSync(file, { timeout: waitMs })
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
  syncDirectory(dirname(file))
}

/**
 * Creates a read-only file as a whole, also after a crash.
 *
 * @throws {Error} `EEXIST`: there is a file of this name
 */
export function createFile (file: string, content: string | Buffer) {
  const temporary = `${file}.${process.pid}.new`
  // One that a crash left
  rmSync(temporary, { force: true })
  writeFileSync(temporary, content, { mode: 0o400, flush: true })
  try {
    linkSync(temporary, file)
  } finally {
    rmSync(temporary)
  }
  syncDirectory(dirname(file))
}

/**
 * Creates a directory and those above it, durably; does nothing where it is there.
 *
 * One by one: where one cannot be made, as in /proc, the option `recursive` of Node 26 never returns.
 *
 * @throws {Error} it cannot be made
 */
export function makeDirectory (path: string) {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
  const above = dirname(path)
  if (above !== path) makeDirectory(above)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been faster
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
  syncDirectory(above)
}

/** Makes new names in a directory durable. */
function syncDirectory (path: string) {
  const directory = openSync(path, 'r')
  fsyncSync(directory)
  closeSync(directory)
}
