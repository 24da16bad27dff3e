import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '#common/database.ts'

/** One record of the audit register, as it is stored. */
export interface AuditRecord {
  id: string
  createdDate: Date
  sourceSystemName: string
  resource: { type: string, id?: string, patientId?: string, operation: string }
  actor?: string
  clientAddress?: string
  requestId?: string
  operationId?: string
  criteria?: string[]
  disclosed?: Array<{ id: string, version: string }>
  outcome?: string
  attemptOf?: string
}

interface Block {
  records: AuditRecord[]
}

const MAX_BLOCKS = 50
const MAX_TIME_MS = 2_000

/** The audit records of one operation, or why they are not available. */
export type RecordsResult = { records: AuditRecord[] } | { unavailable: 'not connected' | 'no response' }

/** Reads the audit records of an operation, oldest first. */
export type ReadRecords = (operationId: string) => Promise<RecordsResult>

export function recordsReader (database: Database | undefined, log: FastifyBaseLogger): ReadRecords {
  if (!database) return async () => ({ unavailable: 'not connected' })
  return async (operationId) => {
    if (!database.ready) return { unavailable: 'no response' }
    try {
      const options = { maxTimeMS: MAX_TIME_MS, limit: MAX_BLOCKS }
      const blocks = await database.collection<Block>('blocks')
        .find({ 'records.operationId': operationId }, options).toArray()
      const records = blocks.flatMap((block) => block.records)
        .filter((record) => record.operationId === operationId)
        .sort((a, b) => a.createdDate.getTime() - b.createdDate.getTime())
      // Records are stored at least once: a retried one may be stored again under its id
      const isFirst = ({ id }: AuditRecord, i: number) => records.findIndex((one) => one.id === id) === i
      return { records: records.filter(isFirst) }
    } catch (err) {
      log.warn({ err }, 'the audit register does not respond')
      return { unavailable: 'no response' }
    }
  }
}

/** The result of a recorded interaction in a word or two. */
export function resultOf ({ disclosed, outcome, attemptOf }: AuditRecord) {
  if (outcome) return outcome
  if (disclosed) return disclosed.length === 0 ? 'nothing found' : `${disclosed.length} disclosed`
  return attemptOf ? 'repeat' : 'attempt'
}
