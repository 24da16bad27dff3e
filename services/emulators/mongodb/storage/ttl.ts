import type { Logger } from 'pino'
import { decode } from '../bson/bson.ts'
import { keyOf, order } from '../bson/keys.ts'
import type { Collection, Index, Storage } from './storage.ts'
import { invert } from '../bson/keys.ts'

/** Deletes the documents that TTL indexes let expire, as mongod does once a minute; answers how many. */
export function expire (storage: Storage, logger: Logger, now = Date.now()): number {
  let deleted = 0
  for (const database of storage.databases) {
    for (const collection of database.collections.values()) {
      for (const index of collection.indexes) {
        if (index.expireAfterSeconds === undefined) continue
        try {
          deleted += expireBy(collection, index, new Date(now - index.expireAfterSeconds * 1000))
        } catch (error) {
          logger.error({ collection: collection.namespace, reason: (error as Error).message }, 'expired documents could not be deleted')
        }
      }
    }
  }
  return deleted
}

/** A document expires by the earliest of its dates; one without a date never does. */
function expireBy (collection: Collection, index: Index, before: Date): number {
  let lo: Uint8Array = Buffer.from([order.date])
  let hi: Uint8Array = Buffer.concat([keyOf(before), Buffer.from([0xff])])
  if (index.parts[0]!.direction < 0) [lo, hi] = [invert(keyOf(before)), invert(Buffer.from([order.date - 1]))]
  const rids = new Set<number>()
  for (const [, rid] of collection.scan(index, lo, hi, undefined, false, 10000, true)) rids.add(rid)
  for (const rid of rids) {
    const bytes = collection.read(rid)
    if (bytes !== undefined) collection.remove(rid, decode(bytes))
  }
  return rids.size
}
