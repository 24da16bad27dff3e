import type { FastifyBaseLogger } from 'fastify'
import { withoutRepeats, type StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'
import type { Block } from '#common/transparency/documents.ts'

const MAX_BLOCKS = 50
const MAX_TIME_MS = 2_000

/** The audit records of one operation, or why they are not available. */
export type RecordsResult = { records: StoredRecord[] } | { unavailable: 'not connected' | 'no response' }

/** Reads the audit records of an operation, oldest first. */
export type ReadRecords = (operationId: string) => Promise<RecordsResult>

export function recordsReader (database: Database | undefined, log: FastifyBaseLogger): ReadRecords {
  if (!database) return async () => ({ unavailable: 'not connected' })
  return async (operationId) => {
    if (!database.ready) return { unavailable: 'no response' }
    try {
      const options = { maxTimeMS: MAX_TIME_MS, limit: MAX_BLOCKS }
      const blocks = await database.collection<Pick<Block, 'records'>>('blocks')
        .find({ 'records.operationId': operationId }, options).toArray()
      const records = blocks.flatMap((block) => block.records)
        .filter((record) => record.operationId === operationId)
        .sort((a, b) => a.createdDate.getTime() - b.createdDate.getTime())
      return { records: withoutRepeats(records) }
    } catch (err) {
      log.warn({ err }, 'the audit register does not respond')
      return { unavailable: 'no response' }
    }
  }
}
