import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from '#common/config.ts'
import { lockFile, replaceFile, type Lock } from '#common/files.ts'
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

export type Secrets = ReadonlyMap<string, Secret>

const FILE = 'secrets.sealed'

interface Options {
  dataDir: string
  unsealKeyFile: string
}

/**
 * Opens the store in `dataDir`, and creates it and its unseal key if they do not exist.
 *
 * @throws {SettingsError} if another process has it open, it is damaged or was sealed with another key
 */
export function openStore ({ dataDir, unsealKeyFile }: Options): Store {
  const lock = lockDirectory(dataDir)
  try {
    const sealed = readSealed(dataDir)
    const key = unsealKey(unsealKeyFile, sealed === undefined)
    return new Store(dataDir, key, sealed ? decode(dataDir, key, sealed) : new Map(), lock)
  } catch (error) {
    lock.close()
    throw error
  }
}

/**
 * Reads the newest value of each secret from the files, without the lock, for tests and tools beside a vault.
 *
 * @throws {SettingsError}
 */
export function readSecrets (dataDir: string, unsealKeyFile: string): Map<string, string> {
  const sealed = readSealed(dataDir)
  if (!sealed) return new Map()
  const secrets = [...decode(dataDir, unsealKey(unsealKeyFile, false), sealed)]
  const live = secrets.filter(([, { deleted }]) => deleted === undefined)
  return new Map(live.map(([name, { versions }]) => [name, versions.at(-1)!.value]))
}

/**
 * All secrets in one encrypted file; an acknowledged change survives `kill -9` and a crash of the machine.
 *
 * They are stored, since a restart must not change keys that encrypt data or that other processes cache, and
 * encrypted, so that a copy of the data directory, in a backup or an image, does not disclose them. That does
 * not protect them from users who can read the unseal key, or from an older file put in its place.
 */
export class Store {
  /** What is on disk. */
  secrets: Secrets
  /** Signs tokens. It is derived from the unseal key, so that tokens stay valid over a restart. */
  readonly tokenKey: Buffer
  #file: string
  #key: Buffer
  #lock: Lock

  constructor (dir: string, key: Buffer, secrets: Secrets, lock: Lock) {
    this.#file = join(dir, FILE)
    this.#key = key
    this.#lock = lock
    this.secrets = secrets
    this.tokenKey = derive(key, 'tokens')
  }

  /**
   * Applies a change to a copy of the secrets, and resolves once it is on disk.
   *
   * @throws what `apply` throws, or why the file cannot be written; then nothing has changed
   */
  async change<T> (apply: (secrets: Map<string, Secret>) => T): Promise<T> {
    const secrets = new Map(this.secrets)
    const result = apply(secrets)
    replaceFile(this.#file, seal(this.#key, JSON.stringify([...secrets])))
    this.secrets = secrets
    return result
  }

  close () {
    this.#lock.close()
  }
}

function lockDirectory (dir: string) {
  let lock: Lock | undefined
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    lock = lockFile(join(dir, 'lock'))
  } catch (error) {
    throw new SettingsError(`${dir} cannot be used (${(error as NodeJS.ErrnoException).code})`)
  }
  if (!lock) throw new SettingsError(`another vault is running from ${dir}`)
  return lock
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

function decode (dir: string, key: Buffer, sealed: Buffer): Secrets {
  try {
    return new Map(JSON.parse(unseal(key, sealed)))
  } catch {
    throw new SettingsError(`${join(dir, FILE)} is damaged, or was sealed with another key`)
  }
}
