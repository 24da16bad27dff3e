import { Type, type Static } from 'typebox'

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
  criteria: Type.Optional(Type.Array(name, { maxItems: 32 })),
  disclosed: Type.Optional(Type.Array(
    Type.Object({ id, version: id }, { additionalProperties: false }),
    { maxItems: 1_000 }
  )),
  outcome: Type.Optional(Type.Enum(['success', 'failure'], { type: 'string' })),
  attemptOf: Type.Optional(Type.String({ format: 'uuid' })),
  /** How many refused calls the record counts. */
  count: Type.Optional(Type.Integer({ minimum: 1 })),
  id: Type.Optional(Type.Never()),
  createdDate: Type.Optional(Type.Never())
}, { additionalProperties: false })
export type AuditRecord = Static<typeof AuditRecord>

export const Receipt = Type.Object({
  id: Type.String({ format: 'uuid' }),
  createdDate: Type.String({ format: 'date-time' })
})
export type Receipt = Static<typeof Receipt>

/** A stored record. It may be stored more than once with one id, so that readers have to drop repeats. */
export interface StoredRecord extends Omit<AuditRecord, 'id' | 'createdDate'> {
  id: string
  /** Position in its chain, from 1, without gaps. */
  seq: number
  createdDate: Date
  /** The W3C trace id of the interaction. */
  operationId: string
}

type Result = Pick<AuditRecord, 'disclosed' | 'outcome' | 'attemptOf'>

/** The result of an interaction in a word or two. */
export function resultOf ({ disclosed, outcome, attemptOf }: Result) {
  if (outcome) return outcome
  if (disclosed) return disclosed.length === 0 ? 'nothing found' : `${disclosed.length} disclosed`
  return attemptOf ? 'repeat' : 'attempt'
}

/** The first record of each id. */
export function withoutRepeats<T extends { id: string }> (records: T[]) {
  return [...new Map(records.toReversed().map((record) => [record.id, record])).values()].reverse()
}
