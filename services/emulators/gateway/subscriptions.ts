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

const FORM = '{"<subscription id>": {"product": "client" or "reader", "key": "..."}}'

export interface Subscription {
  id: string
  product: Product
}

export class Subscriptions {
  #entries: Array<Subscription & { digest: Buffer }>

  /**
   * @param keys `{ id: { product, key } }`, each key used once
   * @throws {SettingsError} whose message quotes no key
   */
  constructor (keys: unknown) {
    if (!Value.Check(Keys, keys)) throw new SettingsError(`must be ${FORM}`)
    const entries = Object.entries<Static<typeof Keys>[string]>(keys)
    if (new Set(entries.map(([, { key }]) => key)).size < entries.length) {
      throw new SettingsError('must give each subscription a key of its own')
    }
    this.#entries = entries.map(([id, { product, key }]) => ({ id, product, digest: digest(key) }))
  }

  /** The subscription of `key`, found in the same time whichever it is, and where there is none. */
  find (key: string): Subscription | undefined {
    const sent = digest(key)
    let found: Subscription | undefined
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.digest, sent)) found = entry
    }
    return found
  }
}

/** The subscription of `key` in the newest of `versions`, newest first, that has it. */
export function findAmong (versions: Subscriptions[], key: string): Subscription | undefined {
  let found: Subscription | undefined
  for (const subscriptions of versions) {
    // Each is searched, so that the time does not depend on the key
    const match = subscriptions.find(key)
    found ??= match
  }
  return found
}

/** Whether the product of `subscription` allows `operation`. */
export function allows ({ product }: Subscription, operation: string) {
  return products[product].has(operation)
}

function digest (key: string) {
  return hash('sha256', key, 'buffer')
}
