import { mkdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SettingsError } from '#common/config.ts'
import { derive, makeUnsealKey, readUnsealKey, seal, unseal } from './seal.ts'

/** Times are in whole seconds since the epoch. */
export interface Version {
  readonly id: string
  readonly value: string
  readonly contentType?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly enabled: boolean
  readonly created: number
  readonly updated: number
  readonly nbf?: number
  readonly exp?: number
}

export interface Secret {
  /** The newest last. */
  readonly versions: readonly Version[]
  /** When it was deleted; until it is purged it can be recovered. */
  readonly deleted?: number
}

type Secrets = Map<string, Secret>

interface Change {
  apply: (secrets: Secrets) => unknown
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
}

const FILE = 'secrets.sealed'

interface Options {
  dataDir: string
  unsealKeyFile: string
}

/**
 * Opens the store of `dataDir`, and makes its unseal key where it is new.
 *
 * @throws {SettingsError} where another process has it open, it is damaged or was sealed with another key
 */
export function openStore ({ dataDir, unsealKeyFile }: Options): Store {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new SettingsError(`${dataDir} cannot be used (${(error as NodeJS.ErrnoException).code})`)
  }
  const lock = lockOf(dataDir)
  try {
    const sealed = readSealed(dataDir)
    const key = unsealKey(unsealKeyFile, sealed === undefined)
    return new Store(dataDir, key, sealed ? opened(dataDir, key, sealed) : new Map(), lock)
  } catch (error) {
    lock.close()
    throw error
  }
}

/**
 * The newest value of each secret, for tests beside a running vault: by the two files, without its lock, with no change.
 *
 * @throws {SettingsError}
 */
export function readSecrets (dataDir: string, unsealKeyFile: string): Map<string, string> {
  const sealed = readSealed(dataDir)
  if (!sealed) return new Map()
  const secrets = opened(dataDir, unsealKey(unsealKeyFile, false), sealed)
  return new Map([...secrets].flatMap(([name, { versions, deleted }]) => deleted === undefined ? [[name, versions.at(-1)!.value]] : []))
}

/**
 * All secrets in one file, sealed: what has been acknowledged survives `kill -9` and the machine.
 *
 * They are on disk and not in memory only, since a restart of the vault or of the machine must not change keys that
 * encrypt data or that other processes hold. They are sealed so that a copy of the data directory, in a backup or an
 * image, gives none away. It protects nothing from whoever reads both this file and the unseal key, as root and the
 * vault's own user do, nor from an older copy of the file put in its place.
 */
export class Store {
  /** What tokens are signed with: as old as the unseal key, so that they outlive a restart. */
  readonly tokenKey: Buffer
  #dir: string
  #key: Buffer
  #secrets: Secrets
  #lock: DatabaseSync
  #waiting: Change[] = []
  #committing: Promise<void> | undefined

  constructor (dir: string, key: Buffer, secrets: Secrets, lock: DatabaseSync) {
    this.#dir = dir
    this.#key = key
    this.#secrets = secrets
    this.#lock = lock
    this.tokenKey = derive(key, 'tokens')
  }

  /** What is on disk. */
  get secrets (): ReadonlyMap<string, Secret> {
    return this.#secrets
  }

  /**
   * Applies a change, in its turn, and resolves once it is on disk. Those that come during a write are written together.
   *
   * @param apply changes the map it is given, or throws before it has changed anything
   * @throws what `apply` throws, or why the file cannot be written
   */
  change<T> (apply: (secrets: Secrets) => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#waiting.push({ apply, resolve: resolve as Change['resolve'], reject })
    this.#committing ??= this.#commitAll()
    return promise
  }

  async close () {
    await this.#committing
    this.#lock.close()
  }

  async #commitAll () {
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0))
    // In the same turn as the last look, so that no change comes between
    this.#committing = undefined
  }

  async #commit (changes: Change[]) {
    const secrets = new Map(this.#secrets)
    const applied = changes.flatMap(({ apply, resolve, reject }) => {
      try {
        const result = apply(secrets)
        return [{ done: () => resolve(result), reject }]
      } catch (error) {
        reject(error)
        return []
      }
    })
    if (applied.length === 0) return
    try {
      await this.#write(seal(this.#key, JSON.stringify([...secrets])))
      this.#secrets = secrets
      for (const { done } of applied) done()
    } catch (error) {
      for (const { reject } of applied) reject(error)
    }
  }

  // A crash leaves the old file or the new one, and after the last sync only the new one
  async #write (sealed: Buffer) {
    const file = join(this.#dir, FILE)
    await using unfinished = await open(`${file}.new`, 'w', 0o600)
    await unfinished.writeFile(sealed)
    await unfinished.sync()
    await rename(`${file}.new`, file)
    await using directory = await open(this.#dir, 'r')
    await directory.sync()
  }
}

function unsealKey (file: string, isNew: boolean) {
  try {
    return readUnsealKey(file)
  } catch (error) {
    if (error instanceof SettingsError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && isNew) return makeUnsealKey(file)
    throw new SettingsError(`${file}, the unseal key, cannot be read (${code})`)
  }
}

function readSealed (dir: string) {
  const file = join(dir, FILE)
  try {
    return readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw new SettingsError(`${file} cannot be read (${code})`)
  }
}

function opened (dir: string, key: Buffer, sealed: Buffer): Secrets {
  try {
    return new Map(JSON.parse(unseal(key, sealed)))
  } catch {
    throw new SettingsError(`${join(dir, FILE)} is damaged, or was sealed with another key`)
  }
}

// SQLite's file locks end with the process, whatever ends it
function lockOf (dir: string) {
  const file = join(dir, 'lock')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file)
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock?.close()
    const SQLITE_BUSY = 5
    const isOpen = (error as { errcode?: number }).errcode === SQLITE_BUSY
    throw new SettingsError(isOpen ? `another vault is running from ${dir}` : `${file} cannot be used`)
  }
}
