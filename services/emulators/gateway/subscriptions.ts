import { hash, timingSafeEqual } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { SettingsError } from '#common/config.ts'
import { productNames, type Product } from './operations.ts'

// Ids and keys travel in header fields
const Keys = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9._-]{1,80}$' }),
  Type.Object({
    product: Type.Enum(productNames, { type: 'string' }),
    key: Type.String({ pattern: '^[\\x21-\\x7e]{1,256}$' })
  }, { additionalProperties: false }),
  { additionalProperties: false, minProperties: 1 }
)

const FORM = `{"<subscription id>": {"product": "${productNames.join('" or "')}", "key": "..."}}`

export interface Subscription {
  id: string
  product: Product
}

/** The subscriptions of one version of the secret. */
export type Subscriptions = Array<Subscription & { digest: Buffer }>

/**
 * @param json `{ id: { product, key } }`, each key used once
 * @throws {SettingsError} whose message quotes no key
 */
export function parseSubscriptions (json: string): Subscriptions {
  const keys: unknown = JSON.parse(json)
  if (!Value.Check(Keys, keys)) throw new SettingsError(`must be ${FORM}`)
  const entries = Object.entries<Static<typeof Keys>[string]>(keys)
  if (new Set(entries.map(([, { key }]) => key)).size < entries.length) {
    throw new SettingsError('must give each subscription a key of its own')
  }
  return entries.map(([id, { product, key }]) => ({ id, product, digest: digest(key) }))
}

/** The subscription of `key` in the newest of `versions`, newest first, that has it. */
export function findSubscription (versions: Subscriptions[], key: string): Subscription | undefined {
  const sent = digest(key)
  // Each is compared, so that the time does not depend on the key
  return versions.flat().filter((subscription) => timingSafeEqual(subscription.digest, sent))[0]
}

function digest (key: string) {
  return hash('sha256', key, 'buffer')
}
