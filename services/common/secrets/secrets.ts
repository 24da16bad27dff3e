import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { withTimeout } from '../with-timeout.ts'
import { recordMetric } from '../telemetry/metrics.ts'

/** One version of a secret as its store tells it. */
export interface StoredVersion {
  id: string
  value: string
  enabled: boolean
  createdOn?: Date
  notBefore?: Date
  expiresOn?: Date
  /** The version that this one supersedes. */
  previous?: string
}

/** Reads a version of one secret by its id, or the newest. */
export type ReadVersion = (id?: string) => Promise<StoredVersion>

/** A version in force, with what its value serves for; never the value itself where a digest or a derived key does. */
export interface Version<T> extends Omit<StoredVersion, 'value' | 'enabled' | 'previous'> {
  value: T
}

/** What a process does with the secrets it opens. */
export interface Secrets {
  /**
   * @param use what is kept of a value; it throws where the value is not one that the secret can have
   * @param most how many versions are in force at the most
   */
  open<T> (name: string, use: (value: string) => T, most?: number): Secret<T>
}

/** What can be told of a version in force. */
export interface ValidVersion {
  version: string
  createdOn?: string
  notBefore?: string
  expiresOn?: string
  ageSeconds?: number
  /** The one that this process shows, where it is a caller. */
  current: boolean
}

export interface SecretOptions<T> {
  name: string
  read: ReadVersion
  /** What is kept of a value. It throws where the value is not one that this secret can have. */
  derive: (value: string) => T
  refreshSeconds: number
  rotationDays: number
  /** How many versions are in force at the most. */
  maxVersions?: number
  log: FastifyBaseLogger
}

// A rotation leaves one version before the one it supersedes, and adds one
const MOST_VERSIONS = 3
const MIN_GAP_MS = 1_000
const RETRY_MS = 5_000
/** How long a look at the vault may take. */
export const READ_MS = 10_000
// Two looks begin a second apart at least
const LOOK_MS = 2_000
// Whoever shows unknown keys by the thousand must not hold a connection and a request each
const MAX_WAITING = 100
const FIRST_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5_000
const WARN_EVERY_MS = 60_000
const DAY_MS = 24 * 60 * 60 * 1_000

/**
 * One secret, kept up to date in the background: no request ever waits for the vault but one that shows a key
 * which is not known yet.
 *
 * In force are the newest version and those it supersedes, at most 3 in all, as long as they are enabled and have
 * not expired, active or not. A store that is away leaves the known ones in force; expiry holds all the same.
 */
export class Secret<T> {
  readonly name: string
  /** Fulfilled once a version is known. */
  readonly loaded: Promise<void>
  #options: SecretOptions<T>
  #versions: Array<Version<T>> = []
  /** Versions that have expired: what was said of them does not change. */
  #expired = new Set<string>()
  #next: Promise<void> | undefined
  #looking: Promise<void> = Promise.resolve()
  #lastLook = -Infinity
  #begun = false
  #failed = false
  #waiting = 0
  #turns: Promise<void> = Promise.resolve()
  #refreshing?: NodeJS.Timeout
  #forgetting?: NodeJS.Timeout
  #listeners: Array<() => void> = []
  #warnedAt = -Infinity
  #warnedOfAgeAt = -Infinity
  #closing = new AbortController()

  constructor (options: SecretOptions<T>) {
    this.name = options.name
    this.#options = options
    this.loaded = this.#begin()
  }

  get isLoaded () { return this.#versions.length > 0 }

  /** The versions in force, newest first. */
  validVersions (): Array<Version<T>> {
    const now = new Date()
    return this.#versions.filter(({ expiresOn }) => !expiresOn || expiresOn > now)
  }

  /** What the newest active version serves for; nothing where none is in force. */
  current (): T | undefined {
    return this.#current(this.validVersions())?.value
  }

  /**
   * What `find` finds among the versions in force, at once; where it finds nothing, what it finds after the next look,
   * since what is searched may be newer than what is known. At most a hundred wait for a look; others hear at once.
   */
  findOrRefresh<R> (find: (versions: T[]) => R | undefined): R | undefined | Promise<R | undefined> {
    const among = () => find(this.validVersions().map(({ value: use }) => use))
    const found = among()
    if (found !== undefined || this.#waiting === MAX_WAITING) return found
    return this.#afterLook(among)
  }

  async #afterLook<R> (among: () => R) {
    this.#waiting++
    await withTimeout(LOOK_MS, this.refresh(), () => new Error()).catch(() => {})
    // One after another, so that a hundred who wait do not hold up other requests
    await (this.#turns = this.#turns.then(() => setImmediate()))
    this.#waiting--
    return among()
  }

  /**
   * What to show next, one after another, where `refused` was: the other versions in force, then what a look within
   * `ms` brings, or else the current one once more.
   */
  async * alternatives (refused: T, ms = LOOK_MS): AsyncGenerator<T> {
    const shown = new Set([refused])
    const untried = () => [this.current(), ...this.validVersions().map(({ value: use }) => use)].find((use) => use !== undefined && !shown.has(use))
    for (let looked = false; ;) {
      let next = untried()
      if (next === undefined) {
        if (looked) return
        looked = true
        await withTimeout(ms, this.refresh(), () => new Error()).catch(() => {})
        next = untried() ?? this.current()
      }
      if (next === undefined) return
      shown.add(next)
      yield next
    }
  }

  /** Calls `listener` whenever other versions are in force than before. */
  onChange (listener: () => void) {
    this.#listeners.push(listener)
  }

  /** Fulfilled after the next look at the vault, whatever it found. Looks begin at least a second apart, however many wait. */
  refresh (): Promise<void> {
    if (this.#begun && !this.#changes) return Promise.resolve()
    this.#next ??= this.#lookNext()
    return this.#next
  }

  describe (): ValidVersion[] {
    const versions = this.validVersions()
    const current = this.#current(versions)
    return versions.map((version) => ({
      version: version.id,
      createdOn: version.createdOn?.toISOString(),
      notBefore: version.notBefore?.toISOString(),
      expiresOn: version.expiresOn?.toISOString(),
      ageSeconds: version.createdOn && Math.round((Date.now() - version.createdOn.getTime()) / 1_000),
      current: version === current
    }))
  }

  close () {
    this.#closing.abort()
    clearTimeout(this.#refreshing)
    clearTimeout(this.#forgetting)
    this.#versions = []
  }

  // One that is not active yet is better than none
  #current (versions: Array<Version<T>>) {
    const now = new Date()
    return versions.find(({ notBefore }) => !notBefore || notBefore <= now) ?? versions[0]
  }

  async #begin () {
    let backoff = FIRST_BACKOFF_MS
    for (;;) {
      await this.refresh()
      if (this.isLoaded || this.#closed) break
      await this.#sleep(backoff)
      backoff = Math.min(2 * backoff, MAX_BACKOFF_MS)
    }
    this.#begun = true
    this.#refreshLater()
  }

  #refreshLater () {
    if (this.#closed || !this.#changes) return
    // Never more than the interval: a leaked key is refused everywhere within it
    const wait = this.#options.refreshSeconds * 1_000 * (0.75 + Math.random() / 5)
    this.#refreshing = setTimeout(() => this.refresh().then(() => this.#refreshLater()), this.#failed ? Math.min(wait, RETRY_MS) : wait).unref()
  }

  async #lookNext () {
    await this.#looking
    await this.#sleep(this.#lastLook + (this.#begun ? MIN_GAP_MS : FIRST_BACKOFF_MS) - performance.now())
    this.#lastLook = performance.now()
    this.#next = undefined
    if (!this.#closed) await (this.#looking = this.#look())
  }

  async #look () {
    try {
      this.#keep(await withTimeout(READ_MS, this.#readChain(), () => Object.assign(new Error(), { name: 'VaultTimeout' })))
      this.#failed = false
    } catch (err) {
      if (this.#closed) return
      this.#failed = true
      if (this.#mayWarn()) this.#options.log.warn({ err, keyName: this.name, versions: this.validVersions().map(({ id }) => id) }, 'the vault does not tell this key; what is known of it stays in force')
    }
  }

  #warnOfNone () {
    if (this.#mayWarn()) this.#options.log.error({ keyName: this.name }, 'there is no version of this key that is enabled')
  }

  #mayWarn () {
    const now = performance.now()
    if (now - this.#warnedAt < WARN_EVERY_MS) return false
    this.#warnedAt = now
    return true
  }

  /** The newest version and those it supersedes, each read by itself: a right to list is not needed. */
  async #readChain (): Promise<Array<Version<T>>> {
    const { read } = this.#options
    const known = this.#versions
    const newest = await read()
    if (this.#versionOf(newest)) return this.#follow(newest)
    // Disabled by hand, or not what it should be: those that it superseded still stand
    for (const { id } of known) {
      const version = await read(id)
      if (this.#versionOf(version)) return this.#follow(version)
    }
    return []
  }

  async #follow (newest: StoredVersion) {
    const { read, maxVersions: most = MOST_VERSIONS } = this.#options
    const chain = [newest]
    for (let { previous } = newest; previous && chain.length < most && !this.#expired.has(previous);) {
      const version = await read(previous)
      if (!version.enabled || this.#hasExpired(version)) break
      chain.push(version)
      previous = version.previous
    }
    return chain.flatMap((version) => this.#versionOf(version) ?? [])
  }

  #hasExpired ({ id, expiresOn }: StoredVersion) {
    if (!expiresOn || expiresOn > new Date()) return false
    this.#expired.add(id)
    return true
  }

  #keep (versions: Array<Version<T>>) {
    if (this.#closed) return
    const before = this.#versions
    this.#versions = versions
    this.#forgetInTime()
    if (versions[0]) this.#tellAge(versions[0])
    else this.#warnOfNone()
    if (versions.map(({ id }) => id).join() === before.map(({ id }) => id).join()) return
    if (before.length > 0 && versions[0] && versions[0].id !== before[0]!.id) recordMetric('key.rotations', 1, { secret: this.name })
    if (versions.length > 0) this.#options.log.info({ keyName: this.name, versions: this.describe() }, 'versions in force')
    for (const listener of this.#listeners) listener()
  }

  // A version never changes its value, so what was derived from it is kept
  #versionOf ({ value, enabled, previous, ...version }: StoredVersion): Version<T> | undefined {
    if (!enabled) return undefined
    const known = this.#versions.find(({ id }) => id === version.id)
    if (known) return { ...version, value: known.value }
    try {
      return { ...version, value: this.#options.derive(value) }
    } catch {
      this.#options.log.error({ keyName: this.name, version: version.id }, 'the value of this version is not of its kind; it is passed over')
    }
  }

  #forgetInTime () {
    clearTimeout(this.#forgetting)
    const ends = this.#versions.flatMap(({ expiresOn }) => expiresOn?.getTime() ?? [])
    if (ends.length === 0) return
    const wait = Math.min(Math.max(0, Math.min(...ends) - Date.now()) + 1, DAY_MS)
    this.#forgetting = setTimeout(() => {
      this.#versions = this.validVersions()
      this.#forgetInTime()
    }, wait).unref()
  }

  #tellAge ({ id, createdOn }: Version<T>) {
    if (!createdOn) return
    const { rotationDays, log } = this.#options
    const now = Date.now()
    const days = (now - createdOn.getTime()) / DAY_MS
    recordMetric('key.age_days', days, { secret: this.name })
    if (days < rotationDays || now - this.#warnedOfAgeAt < DAY_MS) return
    this.#warnedOfAgeAt = now
    log.warn({ keyName: this.name, version: id, ageDays: Math.floor(days), rotationDays }, 'this key is older than its rotation period')
  }

  // What settings tell stays as it is
  get #changes () { return this.#options.refreshSeconds !== Infinity }

  get #closed () { return this.#closing.signal.aborted }

  async #sleep (ms: number) {
    if (ms > 0) await sleep(ms, undefined, { signal: this.#closing.signal }).catch(() => {})
  }
}
