import { test } from 'tap'
import { timelineOf, type AuditRecord } from '../timeline.ts'

const DAY_MS = 24 * 60 * 60 * 1_000
const NOW = Date.parse('2026-11-28T12:00:00Z')
const PATIENT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
let seq = 0

/** A record `days` after NOW. */
function record (
  operation: string, days: number, more: Partial<AuditRecord> = {}, type = 'patient'
): AuditRecord {
  seq++
  return {
    id: `record-${seq}`,
    seq,
    createdDate: new Date(NOW + days * DAY_MS).toISOString(),
    operationId: '0af7651916cd43dd8448eb211c80319c',
    sourceSystemName: 'patient',
    resource: { type, id: PATIENT, operation },
    actor: 'ward-7',
    ...more
  }
}

/** The ids of the unexplained records, and for each explained one the id of the change. */
function sorted (records: AuditRecord[], days = 30) {
  const { unexplained, explained } = timelineOf(records, days)
  return {
    unexplained: unexplained.map(({ record }) => record.id),
    explained: Object.fromEntries(explained.map(({ record, explainedBy }) => [record.id, explainedBy!.id]))
  }
}

test('an access is explained by a change of the same actor within the days around it', async (t) => {
  const change = record('create', 0)
  const before = record('load', -30)
  const after = record('load', 30)
  const early = record('load', -30.01)
  const late = record('load', 30.01)
  const other = record('load', 0, { actor: 'ward-8' })
  t.strictSame(sorted([change, before, after, early, late, other]), {
    unexplained: [early.id, late.id, other.id],
    explained: { [change.id]: change.id, [before.id]: change.id, [after.id]: change.id }
  })
  t.strictSame(sorted([change, after], 1).unexplained, [after.id])
})

test('the person counts where both records have it, and the actor where one has not', async (t) => {
  const change = record('update', 0, { onBehalfOf: 'nurse-1' })
  const samePerson = record('load', 1, { onBehalfOf: 'nurse-1', actor: 'pharmacy' })
  const colleague = record('load', 1, { onBehalfOf: 'nurse-2' })
  const unnamed = record('load', 1)
  const otherActor = record('load', 1, { actor: 'pharmacy' })
  t.strictSame(sorted([change, samePerson, colleague, unnamed, otherActor]), {
    unexplained: [colleague.id, otherActor.id],
    explained: { [change.id]: change.id, [samePerson.id]: change.id, [unnamed.id]: change.id }
  })
  const unnamedChange = record('update', 0)
  t.strictSame(sorted([unnamedChange, colleague]).unexplained, [], 'of the actor, without a person')
  const nobody = record('maintenance', 0, { actor: undefined })
  t.strictSame(sorted([record('update', 0, { actor: undefined }), nobody]).unexplained.length, 2)
})

test('what failed, what reads and what deletes is no change', async (t) => {
  const read = record('load', 0)
  for (const operation of ['load', 'search', 'list', 'list-versions', 'observations', 'delete']) {
    t.strictSame(sorted([read, record(operation, 0)]).unexplained.length, 2, operation)
  }
  for (const operation of ['create', 'update', 'patch', 'restore', 'merge', 'move']) {
    t.strictSame(sorted([read, record(operation, 0, {}, 'test')]).unexplained, [], operation)
  }
  const attempt = record('update', 0)
  const failure = record('update', 0, { outcome: 'failure', attemptOf: attempt.id })
  t.strictSame(sorted([read, attempt, failure]).unexplained, [read.id, attempt.id, failure.id])
  const success = record('update', 0, { outcome: 'success', attemptOf: attempt.id, reconciled: true })
  t.strictSame(sorted([read, attempt, failure, success]).unexplained, [], 'one success is enough')
})

test('the nearest change explains, and the questions of auditors are apart', async (t) => {
  const [far, near] = [record('patch', -9), record('patch', 2)]
  const read = record('load', 0)
  const auditor = { actor: 'an-auditor', sourceSystemName: 'audit' }
  const question = record('access-log', 0, auditor, 'audit-record')
  const timeline = timelineOf([read, far, question, near], 30)
  t.equal(timeline.explained[0]!.explainedBy, near)
  t.strictSame(timeline.questions, [question])
  t.strictSame(timeline.unexplained, [])
})
