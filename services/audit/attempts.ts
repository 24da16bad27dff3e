import type { StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'
import { BLOCKS, type Block } from './register.ts'

const MAX_ATTEMPTS = 1_000
const BATCH_BLOCKS = 20

/**
 * The attempts of the process `replica`, recorded at or after `from`, without a record of their outcome:
 * neither a failure or success nor what was disclosed afterwards. Oldest first, 1,000 at the most.
 *
 * Reads all blocks since `from`, as the outcome of an attempt is in a later one.
 *
 * @throws {DatabaseUnavailable}
 */
export async function attemptsWithoutOutcome (database: Database, replica: string, from: Date) {
  const open = await database.run(async () => {
    const attempts = new Map<string, StoredRecord>()
    const settled = new Set<string>()
    const cursor = database.collection<Block>(BLOCKS).find({ to: { $gte: from } }).batchSize(BATCH_BLOCKS)
    for await (const { records } of cursor) {
      for (const record of records) {
        if (record.attemptOf && (record.outcome || record.disclosed)) settled.add(record.attemptOf)
        if (record.replica === replica && record.createdDate >= from) attempts.set(record.id, record)
      }
    }
    return [...attempts.values()].filter(({ id }) => !settled.has(id))
  })
  open.sort((a, b) => a.createdDate.getTime() - b.createdDate.getTime() || (a.id < b.id ? -1 : 1))
  return { attempts: open.slice(0, MAX_ATTEMPTS), more: open.length > MAX_ATTEMPTS }
}
