import type { FastifyBaseLogger } from 'fastify'
import { withoutRepeats, type StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'

interface Block {
  records: StoredRecord[]
}

const MOST_BLOCKS = 50
const READ_MS = 2_000

/** What the register has of one operation, or why that cannot be told. */
export type Recorded = { records: StoredRecord[] } | { unknown: 'not connected' | 'not reached' }

/** Reads the audit records of an operation, oldest first. */
export type ReadRecords = (operationId: string) => Promise<Recorded>

export function recordsOf (database: Database | undefined, log: FastifyBaseLogger): ReadRecords {
  if (!database) return async () => ({ unknown: 'not connected' })
  return async (operationId) => {
    if (!database.ready) return { unknown: 'not reached' }
    try {
      const blocks = await database.collection<Block>('blocks')
        .find({ 'records.operationId': operationId }, { maxTimeMS: READ_MS, limit: MOST_BLOCKS }).toArray()
      const records = blocks.flatMap((block) => block.records).filter((record) => record.operationId === operationId)
      return { records: withoutRepeats(records.sort((a, b) => a.createdDate.getTime() - b.createdDate.getTime())) }
    } catch (err) {
      log.warn({ err }, 'the audit register does not answer')
      return { unknown: 'not reached' }
    }
  }
}
