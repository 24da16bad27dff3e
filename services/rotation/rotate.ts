import type { KeyVaultSecret, SecretClient } from '@azure/keyvault-secrets'
import { isDisabled, isMissing } from '#common/secrets/key-vault.ts'
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
  /** A newest version that is younger is left as it is. */
  olderThanDays?: number
}

/** Claims under Idempotency-Keys are found by it for a day, so a superseded version must be known for longer. */
const DATA_KEY_GRACE_SECONDS = 25 * 60 * 60

const DAY_MS = 24 * 60 * 60 * 1_000

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

  const leaked = options.leaked === true

  const before = leaked ? await store.newest() : await applyNewest(store, renewal)
  if (!leaked) {
    const superseded = await store.expireSuperseded(before, graceSeconds)
    const { version, createdOn, notBefore: activeOn = createdOn! } = before.properties
    const isDue = Date.now() - createdOn!.getTime() >= (options.olderThanDays ?? 0) * DAY_MS
    if (!isDue || activeOn > new Date()) return { secret: name, version: version!, added: false, activeOn, superseded }
  }

  const activeOn = new Date(Date.now() + (leaked ? 0 : 2_000 * options.refreshSeconds))
  await store.add(await renewal.renew(before.value!), before, leaked ? undefined : activeOn)
  const newest = await applyNewest(store, renewal, leaked)
  const superseded = leaked ? await store.endSuperseded(newest) : await store.expireSuperseded(newest, graceSeconds)
  if (leaked) await renewal.endOthers(newest.value!)
  return { secret: name, version: newest.properties.version!, added: true, activeOn, superseded }
}

/** Has the newest version's value work. Another rotation may add one meanwhile, so the last word is the vault's. */
async function applyNewest (store: VersionStore, renewal: Renewal, alone = false): Promise<KeyVaultSecret> {
  for (;;) {
    const newest = await store.newest()
    const works = await renewal.apply(newest.value!, alone)
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
    if (!newest) throw new RotationError('the newest version is disabled; enable it, or set a value by hand')
    return newest
  }

  add (value: string, { properties: { version: previous, tags } }: KeyVaultSecret, notBefore?: Date) {
    return this.#client.setSecret(this.#name, value, { notBefore, tags: { ...tags, previous: previous! } })
  }

  /** Lets what `newest` supersedes expire after its grace time, where it does not do so before. */
  async expireSuperseded (newest: KeyVaultSecret, graceSeconds: number) {
    const [previous] = await this.#superseded(newest, 1)
    if (!previous) return []
    const { version, expiresOn } = previous.properties
    const latest = Date.now() + graceSeconds * 1_000
    return [{ version: version!, expiresOn: expiresOn && expiresOn.getTime() <= latest ? expiresOn : await this.#expire(previous, latest) }]
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
