import type { StoredRecord } from '#common/audit-record.ts'

/** A record as the register returns it. */
export type AuditRecord = StoredRecord<string>

/** A record about a patient, and the change of the patient that explains it. */
export interface Access {
  record: AuditRecord
  /** The nearest change; the record itself, where it is one. */
  explainedBy?: AuditRecord
}

export interface Timeline {
  unexplained: Access[]
  explained: Access[]
  /** What auditors asked about the patient. */
  questions: AuditRecord[]
}

const DAY_MS = 24 * 60 * 60 * 1_000
/** What creates or changes something. A deletion does not show that somebody treats the patient. */
const CHANGES = new Set(['create', 'update', 'patch', 'restore', 'merge', 'move'])

/**
 * Sorts the records about one patient by whether a change explains them.
 *
 * An access is explained where the same person created or changed something of the patient within `days`
 * before or after it. A person is `onBehalfOf` where both records have it, else the actor. Attempts that
 * failed are no changes. Everything else is unexplained.
 *
 * @param records in any order, which the lists keep
 */
export function timelineOf (records: AuditRecord[], days: number): Timeline {
  // The register itself records what auditors ask and review
  const isQuestion = ({ sourceSystemName }: AuditRecord) => sourceSystemName === 'audit'
  const accesses = records.filter((record) => !isQuestion(record))
  const changes = changesOf(accesses)
  const all = accesses.map((record): Access => ({ record, explainedBy: nearest(record, changes, days) }))
  return {
    unexplained: all.filter(({ explainedBy }) => !explainedBy),
    explained: all.filter(({ explainedBy }) => explainedBy),
    questions: records.filter(isQuestion)
  }
}

interface Change {
  record: AuditRecord
  time: number
}

/** The changes of each actor. */
function changesOf (records: AuditRecord[]): Map<string, Change[]> {
  const outcomes = Map.groupBy(records.filter(({ attemptOf, outcome }) => attemptOf && outcome),
    ({ attemptOf }) => attemptOf!)
  const succeeded = ({ id, outcome }: AuditRecord) => {
    const later = outcomes.get(id) ?? []
    return outcome !== 'failure' && (later.length === 0 || later.some((one) => one.outcome === 'success'))
  }
  const changes = records.filter((record) => CHANGES.has(record.resource.operation) && succeeded(record))
    .map((record) => ({ record, time: Date.parse(record.createdDate) }))
  // Under both names, since the other record may have only one of them
  const named = changes.flatMap((change) => {
    const { actor, onBehalfOf } = change.record
    return [actor && `actor ${actor}`, onBehalfOf && `person ${onBehalfOf}`]
      .filter((name) => name !== undefined).map((name) => ({ name, change }))
  })
  const byName = Map.groupBy(named, ({ name }) => name)
  return new Map([...byName].map(([name, found]) => [name, found.map(({ change }) => change)]))
}

/** The change of the same person that is the nearest to `record`, within `days`. */
function nearest (record: AuditRecord, changes: Map<string, Change[]>, days: number) {
  const { actor, onBehalfOf } = record
  const ofActor = actor === undefined ? [] : changes.get(`actor ${actor}`) ?? []
  const own = onBehalfOf === undefined
    ? ofActor
    : [...changes.get(`person ${onBehalfOf}`) ?? [],
        ...ofActor.filter((change) => change.record.onBehalfOf === undefined)]
  const time = Date.parse(record.createdDate)
  let best: Change | undefined
  for (const change of own) {
    const distance = Math.abs(change.time - time)
    if (distance <= days * DAY_MS && (!best || distance < Math.abs(best.time - time))) best = change
  }
  return best?.record
}
