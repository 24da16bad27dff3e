import type { StoredRecord } from '#common/audit-record.ts'
import { csvOf, disclosedVersions } from '../formats/lines.ts'
import { onlyAbout } from '../queries/patients.ts'
import type { Wanted } from './selection.ts'

/** What 45 CFR 164.528 (a) goes back to. */
const YEARS = 6

/** The disclosures of a patient's data: as 45 CFR 164.528 (b) wants them, and how the register names them. */
export const accountingCsv = csvOf<StoredRecord>({
  date: ({ createdDate }) => createdDate.toISOString(),
  recipient: ({ actor }) => actor,
  onBehalfOf: ({ onBehalfOf }) => onBehalfOf,
  recipientAddress: ({ clientAddress }) => clientAddress,
  disclosed: ({ resource: { type, operation } }) => `${type} (${operation})`,
  versions: disclosedVersions,
  purpose: ({ purpose }) => purpose,
  reason: ({ reason }) => reason,
  record: ({ id }) => id
})

/**
 * The records that disclosed something of a patient, without the other patients of a search.
 *
 * @param from in ms since 1970; six years before `now` by default
 */
export function disclosuresOf (
  patientId: string, { from, to }: { from?: number, to?: number }, now: Date
): Wanted {
  return {
    query: { id: patientId, from: from ?? yearsBefore(now, YEARS), ...(to !== undefined && { to }) },
    view (record) {
      if (!record.disclosed?.length) return undefined
      const own = onlyAbout(patientId, record)
      if (own.disclosed!.length === 0) return undefined
      return own.disclosed!.length === record.disclosed.length ? record : own
    }
  }
}

function yearsBefore (date: Date, years: number) {
  const before = new Date(date)
  return before.setUTCFullYear(date.getUTCFullYear() - years)
}
