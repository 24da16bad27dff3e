import type { KeyVaultSecret, SecretClient } from '@azure/keyvault-secrets'
import { isDisabled, isMissing } from '#common/secrets/key-vault.ts'
import { RotationError, type RotationStrategy } from './strategy.ts'

/** What a rotation did to one secret. Versions are ids, never values. */
export interface Rotation {
  secret: string
  /** The newest version. */
  version: string
  /** False if the version was added by an earlier rotation. */
  added: boolean
  /** From when callers use it. */
  activeOn: Date
  /** The versions that it supersedes, and until when they are accepted. */
  superseded: Array<{ version: string, expiresOn: Date }>
}

interface RotationOptions {
  /** How often services read the secret again. */
  refreshSeconds: number
  /** How long a superseded version is accepted. */
  graceSeconds: number
  /** Superseded versions are compromised: they expire immediately. */
  leaked?: boolean
  /** A newest version that is younger is not superseded. */
  olderThanDays?: number
}

/** How long a superseded version is accepted at least, by secret. */
const MIN_GRACE_SECONDS: Record<string, number> = {
  // Claims under Idempotency-Keys depend on it for a day
  'patient-data-key': 25 * 60 * 60,
  // A session that nobody uses ends after half an hour, and another one is sealed again meanwhile
  'auditor-session-key': 60 * 60
}

const DAY_MS = 24 * 60 * 60 * 1_000

/**
 * Adds a new version of a secret that becomes active after two refresh intervals, and lets the superseded one
 * expire after its grace time. No request fails meanwhile: services accept every valid version, and callers
 * use a new one once all services have read it.
 *
 * It may be interrupted at any point and repeated: it completes a rotation in progress, and starts none until
 * the last version is active.
 *
 * @throws {RotationError}
 */
export async function rotate (
  client: SecretClient, name: string, strategy: RotationStrategy, options: RotationOptions
): Promise<Rotation> {
  const { refreshSeconds, leaked = false, olderThanDays = 0 } = options
  const graceSeconds = Math.max(options.graceSeconds, MIN_GRACE_SECONDS[name] ?? 0)
  const store = new VersionStore(client, name)
  const before = leaked ? await store.newest() : await activateNewest(store, strategy)
  if (!leaked) {
    const superseded = await store.expireSuperseded(before, graceSeconds)
    const { version, createdOn, notBefore: activeOn = createdOn! } = before.properties
    const isDue = Date.now() - createdOn!.getTime() >= olderThanDays * DAY_MS && activeOn <= new Date()
    if (!isDue) return { secret: name, version: version!, added: false, activeOn, superseded }
  }

  const activeOn = new Date(Date.now() + (leaked ? 0 : 2_000 * refreshSeconds))
  await store.add(await strategy.createValue(before.value!), before, leaked ? undefined : activeOn)
  const newest = await activateNewest(store, strategy, leaked)
  const rotated = { secret: name, version: newest.properties.version!, added: true, activeOn }
  if (!leaked) return { ...rotated, superseded: await store.expireSuperseded(newest, graceSeconds) }
  const superseded = await store.revokeSuperseded(newest)
  await strategy.revokeOthers(newest.value!)
  return { ...rotated, superseded }
}

/** Makes the newest version's value work, and again if another rotation adds a version meanwhile. */
async function activateNewest (store: VersionStore, strategy: RotationStrategy, revoke = false) {
  for (;;) {
    const newest = await store.newest()
    const active = await strategy.activate(newest.value!, revoke)
    if (active !== newest.value) await store.add(active, newest, newest.properties.notBefore)
    else if ((await store.newest()).properties.version === newest.properties.version) return newest
  }
}

/** The versions of one secret. Each names the one that it supersedes in its tag `previous`. */
class VersionStore {
  #client: SecretClient
  #name: string

  constructor (client: SecretClient, name: string) {
    this.#client = client
    this.#name = name
  }

  async newest () {
    const newest = await this.#read()
    if (!newest) throw new RotationError('the newest version is disabled; enable it, or set a value by hand')
    return newest
  }

  async add (value: string, { properties: { version: previous, tags } }: KeyVaultSecret, notBefore?: Date) {
    await this.#client.setSecret(this.#name, value, { notBefore, tags: { ...tags, previous: previous! } })
  }

  /** Lets the version that `newest` supersedes expire after the grace time, unless it expires earlier. */
  async expireSuperseded (newest: KeyVaultSecret, graceSeconds: number) {
    const [previous] = await this.#superseded(newest, 1)
    if (!previous) return []
    const { version, expiresOn } = previous.properties
    const latest = Date.now() + graceSeconds * 1_000
    if (expiresOn && expiresOn.getTime() <= latest) return [{ version: version!, expiresOn }]
    return [await this.#expire(previous, latest)]
  }

  /** Lets every version that `newest` supersedes expire now. */
  async revokeSuperseded (newest: KeyVaultSecret) {
    const superseded = await this.#superseded(newest, Infinity)
    return await Array.fromAsync(superseded, (version) => this.#expire(version, Date.now()))
  }

  async #expire ({ properties: { version } }: KeyVaultSecret, at: number) {
    // Key Vault stores whole seconds
    const expiresOn = new Date(Math.floor(at / 1_000) * 1_000)
    await this.#client.updateSecretProperties(this.#name, version!, { expiresOn })
    return { version: version!, expiresOn }
  }

  /** The versions that may still be valid beside `newest`, newest first. */
  async #superseded (newest: KeyVaultSecret, maxVersions: number) {
    const versions: KeyVaultSecret[] = []
    for (let { previous } = newest.properties.tags ?? {}; previous && versions.length < maxVersions;) {
      const version = await this.#read(previous)
      if (!version || (version.properties.expiresOn && version.properties.expiresOn <= new Date())) break
      versions.push(version)
      previous = version.properties.tags?.previous
    }
    return versions
  }

  /** Undefined if the version is disabled or does not exist. */
  async #read (version?: string) {
    try {
      return await this.#client.getSecret(this.#name, { version })
    } catch (error) {
      if (isDisabled(error) || (version !== undefined && isMissing(error))) return undefined
      throw error
    }
  }
}
