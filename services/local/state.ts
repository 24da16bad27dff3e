import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

/** Why the system cannot start, in one line for whoever typed the command. */
export class StartError extends Error {
  override name = 'StartError'
}

const Key = Type.String({ pattern: '^[\\w-]{43}$' })
const Keys = Type.Object({
  'patient-host-key': Key,
  'audit-host-key': Key,
  'patient-data-key': Key,
  'gateway-subscription-keys': Type.Object({ client: Key, reader: Key })
})

export type Keys = Static<typeof Keys>

interface Running {
  pid: number | undefined
  url: string
}

interface RunningService extends Running {
  connection: string
  database: string
}

/** The running system, for tests and tools beside it. */
export interface Run {
  pid: number
  gateway: Running
  patient: RunningService
  audit: RunningService
  /** Only where the embedded one runs. */
  database?: Running
}

/** The directory of one system on one machine: its keys, its data, and what runs from it. */
export class State {
  readonly dir: string
  #lock: DatabaseSync

  /** @throws {StartError} where the directory cannot be used, or another system runs from it */
  constructor (dir: string) {
    this.dir = dir
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      chmodSync(dir, 0o700)
    } catch (error) {
      throw new StartError(`${dir} cannot be used (${(error as NodeJS.ErrnoException).code})`)
    }
    this.#lock = lock(join(dir, 'lock'), dir)
  }

  /** The keys of this system, made at random on its first run. */
  keys (): Keys {
    const file = join(this.dir, 'keys.json')
    try {
      const keys: unknown = JSON.parse(readFileSync(file, 'utf8'))
      if (Value.Check(Keys, keys)) return keys
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return this.#makeKeys(file)
    }
    throw new StartError(`${file} is damaged; remove it to have new keys made`)
  }

  #makeKeys (file: string): Keys {
    const key = () => randomBytes(32).toString('base64url')
    const keys = {
      'patient-host-key': key(),
      'audit-host-key': key(),
      'patient-data-key': key(),
      'gateway-subscription-keys': { client: key(), reader: key() }
    }
    write(file, keys)
    return keys
  }

  /** What the run before left behind when it ended without stopping. */
  leftovers (): Partial<Run> {
    try {
      return JSON.parse(readFileSync(join(this.dir, 'run.json'), 'utf8'))
    } catch {
      return {}
    }
  }

  tell (run: Run) {
    write(join(this.dir, 'run.json'), run)
  }

  close () {
    rmSync(join(this.dir, 'run.json'), { force: true })
    this.#lock.close()
  }
}

/** SQLite's file locks end with the process, whatever ends it. */
function lock (file: string, dir: string) {
  const db = new DatabaseSync(file)
  try {
    db.exec('BEGIN EXCLUSIVE')
    return db
  } catch (error) {
    db.close()
    const { errcode } = error as { errcode?: number }
    const SQLITE_BUSY = 5
    throw new StartError(errcode === SQLITE_BUSY ? `another system is running from ${dir}` : `${file} is damaged; remove it`)
  }
}

// A reader sees the old file or the new one
function write (file: string, content: object) {
  writeFileSync(`${file}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flush: true })
  renameSync(`${file}.new`, file)
}
