import type { FastifyBaseLogger } from 'fastify'

/** One version of a secret as Key Vault stores it. */
export interface StoredVersion {
  id: string
  value: string
  enabled: boolean
  createdOn?: Date
  notBefore?: Date
  expiresOn?: Date
  /** The id of the version that this one supersedes. */
  previous?: string
}

/** Reads a version of one secret by its id, or the newest. */
export type ReadVersion = (id?: string) => Promise<StoredVersion>

/** A version with what is derived from its value: a digest or a key, where the value itself is not needed. */
export interface Version<T> extends Omit<StoredVersion, 'value' | 'enabled' | 'previous'> {
  value: T
}

/** Time, which tests control. */
export interface Clock {
  /** ms since the epoch. */
  date (): number
  /** Resolves after `ms`, or once `signal` is aborted. */
  sleep (ms: number, signal: AbortSignal): Promise<void>
}

export interface SecretOptions<T> {
  name: string
  read: ReadVersion
  /** Returns what is kept of a value, and throws if the value is malformed. */
  derive: (value: string) => T
  /** Infinity for a secret that never changes. */
  refreshSeconds: number
  rotationDays: number
  maxVersions?: number
  /** Whether a value should be rotated after some time; by default each should. */
  isRotated? (value: T): boolean
  log: FastifyBaseLogger
  clock?: Clock
}

export interface ChainReader<T> {
  /**
   * The newest version and those it supersedes, newest first, up to one that is disabled or has expired.
   * If the newest is disabled or malformed, the chain starts at the newest of the `cached` ones that is not.
   */
  read (cached: Array<Version<T>>): Promise<Array<Version<T>>>
}

/** Reads the valid versions of a secret one by one, which needs no right to list them. */
export function chainReader<T> (options: Required<Omit<SecretOptions<T>, 'isRotated'>>): ChainReader<T> {
  const { name, read, derive, maxVersions, log, clock } = options
  // A version that has expired stays so, and is not read again
  const expired = new Set<string>()

  return {
    async read (cached) {
      for (const id of [undefined, ...cached.map(({ id }) => id)]) {
        const stored = await read(id)
        const first = versionOf(stored, cached)
        if (first) return [first, ...await superseded(stored, cached)]
      }
      return []
    }
  }

  async function superseded ({ previous }: StoredVersion, cached: Array<Version<T>>) {
    const versions: Array<Version<T> | undefined> = []
    while (previous && versions.length < maxVersions - 1 && !expired.has(previous)) {
      const stored: StoredVersion = await read(previous)
      if (stored.expiresOn && stored.expiresOn.getTime() <= clock.date()) expired.add(previous)
      if (!stored.enabled || expired.has(previous)) break
      versions.push(versionOf(stored, cached))
      previous = stored.previous
    }
    return versions.filter((version) => version !== undefined)
  }

  // The value of a version never changes, so it is derived once
  function versionOf ({ value, enabled, previous, ...version }: StoredVersion, cached: Array<Version<T>>) {
    if (!enabled) return undefined
    const known = cached.find(({ id }) => id === version.id)
    if (known) return { ...version, value: known.value }
    try {
      return { ...version, value: derive(value) }
    } catch {
      const details = { keyName: name, version: version.id }
      log.error(details, 'the value of this version is malformed; the version is ignored')
    }
  }
}
