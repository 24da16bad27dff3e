import type { Logger } from 'pino'
import { decode } from '../bson/encoding.ts'
import { invert, keyOf, order } from '../bson/keys.ts'
import type { Collection } from './collection.ts'
import type { Index } from './indexes.ts'
import type { Storage } from './storage.ts'

/** The most documents of one index that are deleted at a time. */
const maxDeleted = 1000

/** Deletes the documents that have expired by their TTL indexes; returns how many. */
export function expire (storage: Storage, logger: Logger, now = Date.now()): number {
  let deleted = 0
  const collections = storage.databases.flatMap((database) => [...database.collections.values()])
  for (const collection of collections) {
    for (const index of collection.indexes) {
      const { seconds } = index.spec
      if (seconds === undefined) continue
      try {
        deleted += expireBy(collection, index, new Date(now - seconds * 1000))
      } catch (error) {
        const reason = (error as Error).message
        logger.error({ collection: collection.namespace, reason }, 'expired documents could not be deleted')
      }
    }
  }
  return deleted
}

/** A document expires by the earliest of its dates; one without a date never does. */
function expireBy (collection: Collection, index: Index, before: Date): number {
  const range = index.parts[0]!.direction > 0
    ? { lo: Buffer.from([order.date]), hi: Buffer.concat([keyOf(before), Buffer.from([0xff])]) }
    : { lo: invert(keyOf(before)), hi: invert(Buffer.from([order.date - 1])) }
  const entries = collection.scan(index, range, { limit: maxDeleted })
  const documents = new Map(entries.map(([, rid, bytes]) => [rid, bytes]))
  for (const [rid, bytes] of documents) collection.remove(rid, decode(bytes))
  return documents.size
}
