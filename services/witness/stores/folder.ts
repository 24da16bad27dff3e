import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createFile, lockFile, makeDirectory, replaceFile } from '#common/files.ts'
import { StoreUnavailable } from '../errors.ts'
import { folderOf, nameOf, type LogState, type Store, type Stored } from './store.ts'

/** How long another process may hold the lock. */
const LOCK_MS = 2_000

/** A directory on one machine, which several processes may use. */
export class FolderStore implements Store {
  #dir: string

  /** @throws {Error} `dir` cannot be used */
  constructor (dir: string) {
    this.#dir = resolve(dir)
    makeDirectory(this.#dir)
  }

  async read (origin: string) {
    return available(() => this.#read(origin))
  }

  async replace (state: LogState, version: string | undefined) {
    return available(() => {
      const file = this.#stateFile(state.origin)
      makeDirectory(dirname(file))
      const lock = lockFile(join(dirname(file), 'lock'), LOCK_MS)
      if (!lock) throw new Error('another process holds the lock')
      try {
        if (this.#read(state.origin)?.version !== version) return false
        replaceFile(file, `${JSON.stringify(state, null, 2)}\n`)
        return true
      } finally {
        lock.close()
      }
    })
  }

  async keep ({ origin, size, checkpoint }: LogState) {
    return available(() => {
      const file = join(this.#dir, 'checkpoints', folderOf(origin), nameOf(size))
      makeDirectory(dirname(file))
      try {
        createFile(file, checkpoint)
        return checkpoint
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        return readFileSync(file, 'utf8')
      }
    })
  }

  #read (origin: string): Stored | undefined {
    try {
      const content = readFileSync(this.#stateFile(origin), 'utf8')
      return { state: JSON.parse(content), version: hash('sha256', content) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #stateFile (origin: string) {
    return join(this.#dir, 'state', folderOf(origin), 'state.json')
  }
}

function available<T> (work: () => T) {
  try {
    return work()
  } catch (cause) {
    throw Object.assign(new StoreUnavailable(), { cause })
  }
}
