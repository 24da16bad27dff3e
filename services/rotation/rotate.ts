import type { KeyVaultSecret, SecretClient } from '@azure/keyvault-secrets'
import { isDisabled, isMissing } from '#common/key-vault.ts'
import { RotationError, type Renewal } from './renewal.ts'

/** What a rotation did to one secret. Versions are ids; no value is ever told. */
export interface Rotation {
  secret: string
  /** The newest version, and whether it was added now or by an earlier rotation that is still under way. */
  version: string
  added: boolean
  /** From when callers use it. */
  activeOn: Date
  /** What it supersedes, and until when that is accepted. */
  superseded: Array<{ version: string, expiresOn: Date }>
}

export interface RotationOptions {
  /** How old what a service knows of a secret may grow. */
  refreshSeconds: number
  /** How long a superseded version is accepted. */
  graceSeconds: number
  /** Superseded versions are known to others: they end now. */
  leaked?: boolean
}

/** Claims under Idempotency-Keys are found by it for a day, so a superseded version must be known for longer. */
const DATA_KEY_GRACE_SECONDS = 25 * 60 * 60

/**
 * Adds a new version of a secret, active in two refresh intervals, and lets the superseded one expire after its grace
 * time, so that no request fails: services accept every version in force, and callers change over when all know it.
 *
 * It may be interrupted at any point and repeated: a rotation that is under way is finished, and none is begun before
 * the last one's version is active.
 *
 * @throws {RotationError}
 */
export async function rotate (client: SecretClient, name: string, renewal: Renewal, options: RotationOptions): Promise<Rotation> {
  const graceSeconds = name === 'patient-data-key' ? Math.max(options.graceSeconds, DATA_KEY_GRACE_SECONDS) : options.graceSeconds
  const store = new VersionStore(client, name)

  const before = await applyNewest(store, renewal)
  if (!options.leaked) {
    const superseded = await store.expireSuperseded(before, graceSeconds)
    const activeOn = before.properties.notBefore
    if (activeOn && activeOn > new Date()) return { secret: name, version: before.properties.version!, added: false, activeOn, superseded }
  }

  const activeOn = new Date(Date.now() + (options.leaked ? 0 : 2_000 * options.refreshSeconds))
  await store.add(await renewal.renew(before.value!), before, options.leaked ? undefined : activeOn)
  const newest = await applyNewest(store, renewal)
  const rotation = { secret: name, version: newest.properties.version!, added: true, activeOn }
  if (!options.leaked) return { ...rotation, superseded: await store.expireSuperseded(newest, graceSeconds) }
  const superseded = await store.endSuperseded(newest)
  await renewal.revoke(before.value!)
  return { ...rotation, superseded }
}

/** Has the newest version's value work. Another rotation may add one meanwhile, so the last word is the vault's. */
async function applyNewest (store: VersionStore, renewal: Renewal): Promise<KeyVaultSecret> {
  for (;;) {
    const newest = await store.newest()
    const works = await renewal.apply(newest.value!)
    if (works !== newest.value) await store.add(works, newest, newest.properties.notBefore)
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
    if (!newest) throw new RotationError(`${this.#name}: the newest version is disabled; enable it, or set a value by hand`)
    return newest
  }

  add (value: string, { properties: { version: previous, tags } }: KeyVaultSecret, notBefore?: Date) {
    return this.#client.setSecret(this.#name, value, { notBefore, tags: { ...tags, previous: previous! } })
  }

  /** Lets what `newest` supersedes expire, where that was not said yet. */
  async expireSuperseded (newest: KeyVaultSecret, graceSeconds: number) {
    const [previous] = await this.#superseded(newest, 1)
    if (!previous) return []
    const { version, expiresOn = await this.#expire(previous, Date.now() + graceSeconds * 1_000) } = previous.properties
    return [{ version: version!, expiresOn }]
  }

  /** Ends all that `newest` supersedes. */
  async endSuperseded (newest: KeyVaultSecret) {
    const ended = []
    for (const version of await this.#superseded(newest, Infinity)) {
      ended.push({ version: version.properties.version!, expiresOn: await this.#expire(version, Date.now()) })
    }
    return ended
  }

  async #expire ({ properties: { version } }: KeyVaultSecret, at: number) {
    // The vault keeps whole seconds
    const expiresOn = new Date(Math.floor(at / 1_000) * 1_000)
    await this.#client.updateSecretProperties(this.#name, version!, { expiresOn })
    return expiresOn
  }

  /** The versions that may still be in force beside `newest`, newest first. */
  async #superseded (newest: KeyVaultSecret, most: number) {
    const versions: KeyVaultSecret[] = []
    for (let { previous } = newest.properties.tags ?? {}; previous && versions.length < most;) {
      const version = await this.#read(previous)
      if (!version || (version.properties.expiresOn && version.properties.expiresOn <= new Date())) break
      versions.push(version)
      previous = version.properties.tags?.previous
    }
    return versions
  }

  /** Nothing where the version is disabled, or gone. */
  async #read (version?: string) {
    try {
      return await this.#client.getSecret(this.#name, { version })
    } catch (error) {
      if (isDisabled(error) || (version !== undefined && isMissing(error))) return undefined
      throw error
    }
  }
}
