import type { Db } from 'mongodb'
import type { Index } from '#common/database.ts'

/** The options that our services connect with too. */
export const options = {
  writeConcern: { w: 'majority', journal: true },
  retryWrites: false,
  maxPoolSize: 64
} as const

export async function createIndexes (db: Db, indexes: Index[]) {
  for (const { collection, key, options } of indexes) {
    await db.collection(collection).createIndex(key, options)
  }
}
