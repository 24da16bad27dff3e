import { hash, timingSafeEqual } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { SettingsError } from '#common/config.ts'
import { products, type Product } from './operations.ts'

// Ids and keys travel in header fields
const Keys = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9._-]{1,80}$' }),
  Type.Object({
    product: Type.Union([Type.Literal('client'), Type.Literal('reader')]),
    key: Type.String({ pattern: '^[\\x21-\\x7e]{1,256}$' })
  }, { additionalProperties: false }),
  { additionalProperties: false, minProperties: 1 }
)

export interface Subscription {
  id: string
  product: Product
}

export class Subscriptions {
  #entries: Array<Subscription & { digest: Buffer }>

  /** @throws {SettingsError} that quotes nothing, where `keys` is not `{ id: { product, key } }` with a key of its own each */
  constructor (keys: unknown) {
    if (!Value.Check(Keys, keys)) throw new SettingsError('must be {"<subscription id>": {"product": "client" or "reader", "key": "..."}}')
    const entries = Object.entries<Static<typeof Keys>[string]>(keys)
    if (new Set(entries.map(([, { key }]) => key)).size < entries.length) throw new SettingsError('must give each subscription a key of its own')
    this.#entries = entries.map(([id, { product, key }]) => ({ id, product, digest: digest(key) }))
  }

  /** The subscription that `key` belongs to. Takes the same time whichever it is, and where there is none. */
  find (key: string): Subscription | undefined {
    const shown = digest(key)
    let found: Subscription | undefined
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.digest, shown)) found = entry
    }
    return found
  }
}

/** The subscription that `key` belongs to in the newest of the versions, newest first, that knows it. */
export function findAmong (versions: Subscriptions[], key: string): Subscription | undefined {
  let found: Subscription | undefined
  for (const subscriptions of versions) {
    const here = subscriptions.find(key)
    found ??= here
  }
  return found
}

/** Whether the product of `subscription` holds `operation`. */
export function opens ({ product }: Subscription, operation: string) {
  return products[product].has(operation)
}

function digest (key: string) {
  return hash('sha256', key, 'buffer')
}
