import type { StoredRecord } from '#common/audit-record.ts'
import { patientsOf } from './patients.ts'

/** More patients of one day are not counted. */
const MAX_PATIENTS = 100_000

/** What one actor did on one day (UTC). */
interface DaySummary {
  day: string
  /** The number of records by type and operation of the resource. */
  operations: Array<{ type: string, operation: string, count: number }>
  /** How many patients these records are about, up to 100,000. */
  patients: number
}

/** @param records in ascending order */
export async function summaryOf (records: AsyncIterable<StoredRecord>) {
  const days: DaySummary[] = []
  let patients = new Set<string>()
  for await (const record of records) {
    const day = record.createdDate.toISOString().slice(0, 10)
    if (days.at(-1)?.day !== day) {
      days.push({ day, operations: [], patients: 0 })
      patients = new Set()
    }
    const summary = days.at(-1)!
    count(summary, record)
    for (const patient of patientsOf(record)) if (patients.size < MAX_PATIENTS) patients.add(patient)
    summary.patients = patients.size
  }
  return days
}

function count ({ operations }: DaySummary, { resource: { type, operation } }: StoredRecord) {
  const known = operations.find((one) => one.type === type && one.operation === operation)
  if (known) known.count++
  else operations.push({ type, operation, count: 1 })
}
