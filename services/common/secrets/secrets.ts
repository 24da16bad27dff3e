import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { recordMetric } from '../telemetry/metrics.ts'
import { withTimeout } from '../with-timeout.ts'
import { chainReader, type ChainReader, type Clock, type SecretOptions, type Version } from './versions.ts'

export type { Clock, ReadVersion, StoredVersion, Version } from './versions.ts'

/** Opens the secrets of a process. */
export interface Secrets {
  /**
   * @param derive returns what is kept of a value, and throws if the value is malformed
   * @param maxVersions how many versions are valid at most
   * @param isRotated whether a value should be rotated after some time; by default each should
   */
  open<T> (
    name: string, derive: (value: string) => T, maxVersions?: number, isRotated?: (value: T) => boolean
  ): Secret<T>
}

const systemClock: Clock = {
  date: Date.now,
  sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {})
}

// A rotation leaves one version before the one that it supersedes, and adds one
const MAX_VERSIONS = 3
/** Refreshes start at least this long after one another. */
const MIN_INTERVAL_MS = 1_000
const RETRY_MS = 5_000
/** How long a refresh may take. */
export const READ_MS = 10_000
const WAIT_MS = 2 * MIN_INTERVAL_MS
// Callers with thousands of unknown keys must not hold a connection and a request each
const MAX_WAITING = 100
const MIN_BACKOFF_MS = 100
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/**
 * A secret, refreshed in the background. Only a request with a key that is not cached waits for Key Vault.
 *
 * Valid are the newest version and those it supersedes, at most 3, while they are enabled and have not
 * expired, active or not. If Key Vault is unavailable, cached versions stay valid until they expire.
 */
export class Secret<T> {
  readonly name: string
  /** Fulfilled once a version is cached, or the secret is closed. */
  readonly loaded: Promise<void>
  #options: SecretOptions<T>
  #clock: Clock
  #chain: ChainReader<T>
  #versions: Array<Version<T>> = []
  /** The refresh that has not started yet, and the one that runs. */
  #next: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()
  /** Fulfilled when the next refresh may start. */
  #interval: Promise<void> = Promise.resolve()
  #failed = false
  #waiting = 0
  #turns: Promise<void> = Promise.resolve()
  #listeners: Array<() => void> = []
  /** When each message was logged last. */
  #logged = new Map<string, number>()
  #closing = new AbortController()

  constructor (options: SecretOptions<T>) {
    const { name, clock = systemClock, maxVersions = MAX_VERSIONS } = options
    this.name = name
    this.#options = options
    this.#clock = clock
    this.#chain = chainReader({ ...options, clock, maxVersions })
    this.loaded = Promise.resolve().then(() => this.#load())
    // A secret from settings never changes
    if (options.refreshSeconds !== Infinity) this.loaded.then(() => this.#keepFresh())
  }

  get isLoaded () { return this.#versions.length > 0 }

  /** The valid versions, newest first. */
  validVersions (): Array<Version<T>> {
    return this.#versions.filter(({ expiresOn }) => !expiresOn || expiresOn.getTime() > this.#clock.date())
  }

  /** The value of the newest active version; undefined if no version is valid. */
  current (): T | undefined {
    return this.#currentVersion()?.value
  }

  /**
   * What `find` finds among the values of the valid versions; if that is nothing, what it finds after a
   * refresh, since the version may be newer than the cache. At most 100 callers wait; others get undefined.
   */
  findOrRefresh<R> (find: (values: T[]) => R | undefined): R | undefined | Promise<R | undefined> {
    const search = () => find(this.#validValues())
    const found = search()
    if (found !== undefined || this.#waiting === MAX_WAITING) return found
    return this.#refreshAndSearch(search)
  }

  async #refreshAndSearch<R> (search: () => R) {
    this.#waiting++
    await this.#refreshWithin(WAIT_MS)
    // One after another, so that a hundred searches do not delay other requests
    await (this.#turns = this.#turns.then(() => setImmediate()))
    this.#waiting--
    return search()
  }

  /**
   * What to send after `refused`, one after another: the other valid values, then those that a refresh within
   * `ms` adds, or else the current value once more.
   */
  async * alternatives (refused: T, ms = WAIT_MS): AsyncGenerator<T> {
    const sent = new Set<T | undefined>([refused, undefined])
    const unsent = () => [...new Set([this.current(), ...this.#validValues()]).difference(sent)] as T[]
    for (const value of unsent()) {
      sent.add(value)
      yield value
    }
    await this.#refreshWithin(ms)
    const added = unsent()
    if (added.length > 0) return yield * added
    const current = this.current()
    if (current !== undefined) yield current
  }

  /** Calls `listener` whenever the valid versions have changed. */
  onChange (listener: () => void) {
    this.#listeners.push(listener)
  }

  /** Fulfilled after the next refresh, successful or not. */
  refresh (): Promise<void> {
    if (this.#options.refreshSeconds === Infinity) return this.loaded
    this.#next ??= this.#refreshNext()
    return this.#next
  }

  /** The valid versions without their values; `current` marks the one that a caller sends. */
  describe () {
    const current = this.#currentVersion()
    return this.validVersions().map((version) => {
      const { id, createdOn, notBefore, expiresOn } = version
      const ageSeconds = createdOn && Math.round((this.#clock.date() - createdOn.getTime()) / 1_000)
      return { version: id, createdOn, notBefore, expiresOn, ageSeconds, current: version === current }
    })
  }

  close () {
    this.#closing.abort()
    this.#versions = []
  }

  #validValues () {
    return this.validVersions().map(({ value }) => value)
  }

  // A version that is not active yet is better than none
  #currentVersion () {
    const versions = this.validVersions()
    const now = this.#clock.date()
    return versions.find(({ notBefore }) => !notBefore || notBefore.getTime() <= now) ?? versions[0]
  }

  async #load () {
    for (let backoff = MIN_BACKOFF_MS; ; backoff = Math.min(2 * backoff, RETRY_MS)) {
      await this.#refresh()
      if (this.isLoaded || this.#closed) return
      await this.#sleep(backoff)
    }
  }

  async #keepFresh () {
    while (!this.#closed) {
      // Never longer than the interval: a revoked key is refused everywhere within it
      const wait = this.#options.refreshSeconds * 1_000 * (0.75 + Math.random() / 5)
      await this.#sleep(this.#failed ? Math.min(wait, RETRY_MS) : wait)
      await this.refresh()
    }
  }

  async #refreshNext () {
    await this.loaded
    await this.#running
    await this.#interval
    this.#next = undefined
    await (this.#running = this.#refresh())
  }

  async #refresh () {
    if (this.#closed) return
    this.#interval = this.#sleep(MIN_INTERVAL_MS)
    try {
      const reading = this.#chain.read(this.#versions)
      this.#replace(await withTimeout(READ_MS, reading, () => new Error('Key Vault does not answer')))
      this.#failed = false
    } catch (err) {
      if (this.#closed) return
      this.#failed = true
      this.#versions = this.validVersions()
      const details = { err, versions: this.#versions.map(({ id }) => id) }
      this.#log('warn', MINUTE_MS, details, 'Key Vault cannot be read; cached versions stay valid')
    }
  }

  async #refreshWithin (ms: number) {
    await Promise.race([this.refresh(), this.#sleep(ms)])
  }

  #replace (versions: Array<Version<T>>) {
    if (this.#closed) return
    const { name, log } = this.#options
    const [before, [newest]] = [this.#versions, versions]
    this.#versions = versions
    if (newest) this.#checkAge(newest)
    else this.#log('error', MINUTE_MS, {}, 'this secret has no enabled version')
    if (versions.map(({ id }) => id).join() === before.map(({ id }) => id).join()) return
    if (newest && before[0] && newest.id !== before[0].id) recordMetric('key.rotations', 1, { secret: name })
    if (newest) log.info({ keyName: name, versions: this.describe() }, 'the valid versions have changed')
    for (const listener of this.#listeners) listener()
  }

  #checkAge ({ id: version, createdOn, value }: Version<T>) {
    const { name, rotationDays, isRotated } = this.#options
    if (!createdOn || isRotated?.(value) === false) return
    const days = (this.#clock.date() - createdOn.getTime()) / DAY_MS
    recordMetric('key.age_days', days, { secret: name })
    if (days < rotationDays) return
    const details = { version, ageDays: Math.floor(days), rotationDays }
    this.#log('warn', DAY_MS, details, 'this secret is older than its rotation period')
  }

  /** Logs `message` unless it was logged in the last `ms`. */
  #log (level: 'warn' | 'error', ms: number, details: object, message: string) {
    const now = this.#clock.date()
    if (now - (this.#logged.get(message) ?? -Infinity) < ms) return
    this.#logged.set(message, now)
    this.#options.log[level]({ keyName: this.name, ...details }, message)
  }

  get #closed () { return this.#closing.signal.aborted }

  #sleep (ms: number) {
    return this.#clock.sleep(ms, this.#closing.signal)
  }
}
