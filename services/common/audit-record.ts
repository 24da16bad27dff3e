import { Type, type Static } from 'typebox'
import { ON_BEHALF_OF, REASON } from './http/caller.ts'
import { purposesOfUse } from './purpose-of-use.ts'

const name = Type.String({ minLength: 1, maxLength: 64 })
const id = Type.String({ minLength: 1, maxLength: 256 })

/** One interaction, as the caller describes it. It never has a value of a patient or a test. */
export const AuditRecord = Type.Object({
  sourceSystemName: name,
  resource: Type.Object({
    type: name,
    id: Type.Optional(id),
    patientId: Type.Optional(id),
    operation: name
  }, { additionalProperties: false }),
  actor: Type.Optional(id),
  clientAddress: Type.Optional(id),
  requestId: Type.Optional(id),
  /** The person for whom the actor calls: an id that only the actor's organisation can resolve. */
  onBehalfOf: Type.Optional(Type.String({ pattern: ON_BEHALF_OF })),
  purpose: Type.Optional(Type.Enum(purposesOfUse, { type: 'string' })),
  /** Why the purpose applies, as the caller wrote it. */
  reason: Type.Optional(Type.String({ pattern: REASON })),
  criteria: Type.Optional(Type.Array(name, { maxItems: 32 })),
  disclosed: Type.Optional(Type.Array(
    Type.Object({ id, version: id }, { additionalProperties: false }),
    { maxItems: 1_000 }
  )),
  outcome: Type.Optional(Type.Enum(['success', 'failure'], { type: 'string' })),
  attemptOf: Type.Optional(Type.String({ format: 'uuid' })),
  /**
   * The id under which a process writes after this attempt is recorded. A failure has it too if it is in
   * doubt: the database may have applied the write. If the process ends, another one finds the outcome.
   */
  replica: Type.Optional(Type.String({ format: 'uuid' })),
  /** The process of the attempt ended before it could record the outcome, so another one found it. */
  reconciled: Type.Optional(Type.Literal(true)),
  /** How many refused calls the record counts. */
  count: Type.Optional(Type.Integer({ minimum: 1 })),
  id: Type.Optional(Type.Never()),
  createdDate: Type.Optional(Type.Never())
}, { additionalProperties: false })
export type AuditRecord = Static<typeof AuditRecord>

const CALLER_FIELDS = [
  'actor', 'clientAddress', 'requestId', 'onBehalfOf', 'purpose', 'reason'
] as const satisfies Array<keyof AuditRecord>

/** Who called and why. Every record of a request has it, also one that another process stores for it. */
export function callerFieldsOf (record: Pick<AuditRecord, typeof CALLER_FIELDS[number]>) {
  const fields = CALLER_FIELDS.map((name) => [name, record[name]])
  return Object.fromEntries(fields) as typeof record
}

export const Receipt = Type.Object({
  id: Type.String({ format: 'uuid' }),
  createdDate: Type.String({ format: 'date-time' })
})
export type Receipt = Static<typeof Receipt>

/** A stored record. It may be stored more than once with one id, so that readers have to drop repeats. */
export interface StoredRecord<D = Date> extends Omit<AuditRecord, 'id' | 'createdDate'> {
  id: string
  /** Position in its chain, from 1, without gaps. */
  seq: number
  /** In JSON, a string. */
  createdDate: D
  /** The W3C trace id of the interaction. */
  operationId: string
}

/** What the patient service asks after one of its processes has ended. */
export const AttemptsQuery = Type.Object({
  replica: Type.String({ format: 'uuid' }),
  // Sent by earlier versions, which run beside this one while it is rolled out; all attempts are returned
  from: Type.Optional(Type.String({ format: 'date-time' }))
}, { additionalProperties: false })

/** Attempts of which no record says without doubt whether they succeeded, oldest first. */
export interface Attempts {
  attempts: Array<StoredRecord<string>>
  /** Whether there are others, later ones. */
  more: boolean
}

type Result = Pick<AuditRecord, 'disclosed' | 'outcome' | 'attemptOf' | 'reconciled'>

/** The result of an interaction in a word or two. */
export function resultOf ({ disclosed, outcome, attemptOf, reconciled }: Result) {
  if (outcome) return reconciled ? `${outcome} found` : outcome
  if (disclosed) return disclosed.length === 0 ? 'nothing found' : `${disclosed.length} disclosed`
  return attemptOf ? 'repeat' : 'attempt'
}

const REMEMBERED_IDS = 10_000

/** A filter of records that were read recently: one may be stored twice within seconds, under one id. */
export function repeatFilter () {
  const ids = new Set<string>()
  return ({ id }: { id: string }) => {
    if (ids.has(id)) return false
    ids.add(id)
    if (ids.size > REMEMBERED_IDS) ids.delete(ids.values().next().value!)
    return true
  }
}

/** The first record of each id. */
export function withoutRepeats<T extends { id: string }> (records: T[]) {
  return [...new Map(records.toReversed().map((record) => [record.id, record])).values()].reverse()
}
