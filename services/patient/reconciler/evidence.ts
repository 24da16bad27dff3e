import type { Attempts } from '#common/audit-record.ts'
import type { MoveParts } from '../life/move.ts'
import type { Stored } from '../repositories/documents.ts'
import { isLive } from '../repositories/patients.ts'
import { testKey } from '../repositories/test-results.ts'
import type { Transfer, Transfers } from '../repositories/transfers.ts'
import { versionKey, type Versions } from '../repositories/versions.ts'

export type OpenAttempt = Attempts['attempts'][number]
export type AttemptToFind = Pick<OpenAttempt, 'id' | 'attemptOf' | 'resource' | 'createdDate'>

/** `in progress`: a move or merge that another process is still to finish or to give up. */
export type Found = 'success' | 'failure' | 'in progress'

/** Clocks of replicas may differ by this. */
const CLOCKS_MS = 10_000

/** What is done to test results that are there. If one is gone, it was deleted, by this attempt or later. */
const ON_EXISTING = ['update', 'patch', 'delete']

/**
 * What became of an attempt, from what its write left: a document, a version or a transfer carries the id of
 * its record.
 *
 * Where the document was deleted since, nothing of this kind may be left. Then the outcome is success, so
 * that the register never lacks a change that was made.
 *
 * @throws {DatabaseUnavailable}
 */
export async function findOutcome (parts: MoveParts, attempt: AttemptToFind): Promise<Found> {
  const { id, patientId, type } = attempt.resource
  if (id === undefined) return 'failure'
  // A repeat completes a create with the record of the first attempt
  const records = [attempt.id, attempt.attemptOf].filter((record) => record !== undefined)
  const transfer = await findTransfer(parts.transfers, records, type === 'test' ? [patientId!, id] : [id])
  if (transfer) return transfer.open && !transfer.committed ? 'in progress' : 'success'
  return type === 'test' ? ofTest(parts, attempt, records) : ofPatient(parts, attempt, records)
}

/** The two records of a move or merge have one outcome: not each of the patients has to be changed by it. */
export function outcomeOf (found: Found[]): Found {
  return (['in progress', 'success'] as const).find((one) => found.includes(one)) ?? 'failure'
}

/** The move of a test result or the merge of a patient that belongs to one of `records`. */
async function findTransfer (
  transfers: Transfers, records: string[], [patientId, test]: [patientId: string, test?: string]
) {
  const isMeant = ({ records: { from, to } }: Transfer) => records.includes(from) || records.includes(to)
  const left = await transfers.find(patientId, test)
  if (left && isMeant(left)) return left
  return (await transfers.open(patientId)).find(isMeant)
}

async function ofPatient (
  { patients, versions }: MoveParts,
  { resource: { id, operation }, createdDate }: AttemptToFind,
  records: string[]
): Promise<Found> {
  for (let current = id!; ;) {
    const found = await patients.findAny(current)
    if (!found) return 'failure'
    const kept = isLive(found) ? undefined : found._kept
    if (carries(found, records) || (kept && carries(kept, records))) return 'success'
    if (await isVersion(versions, current, current, records)) return 'success'
    if (isLive(found) || kept) return 'failure'
    if (found._mergedInto === undefined) {
      return operation !== 'delete' && isAfter(found._deleted, createdDate) ? 'success' : 'failure'
    }
    // Its versions went to the other patient
    current = found._mergedInto
  }
}

async function ofTest (
  parts: MoveParts, { resource: { id, patientId, operation }, createdDate }: AttemptToFind, records: string[]
): Promise<Found> {
  const { patients, tests, versions, transfers } = parts
  const seen = new Set<string>()
  for (let current = patientId!; ;) {
    seen.add(current)
    const test = await tests.findAny(testKey(current, id!))
    if (test && carries(test, records)) return 'success'
    if (await isVersion(versions, current, id!, records)) return 'success'
    const next = (await transfers.find(current, id))?.to ?? await patients.replacementOf(current)
    if (next === undefined || seen.has(next)) {
      if (test) return 'failure'
      const patient = await patients.findAny(current)
      if (!patient) return 'failure'
      const isGone = !isLive(patient) && !patient._kept
      const isChanged = isGone ? isAfter(patient._deleted, createdDate) : ON_EXISTING.includes(operation)
      return isChanged ? 'success' : 'failure'
    }
    current = next
  }
}

const carries = ({ _audit }: Stored, records: string[]) => records.includes(_audit)

async function isVersion (versions: Versions, patientId: string, of: string, records: string[]) {
  for (const record of records) if (await versions.exists(versionKey(patientId, of, record))) return true
  return false
}

function isAfter (deleted: Date, createdDate: string) {
  return deleted.getTime() > Date.parse(createdDate) - CLOCKS_MS
}
