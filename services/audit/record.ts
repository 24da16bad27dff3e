import { Type, type Static } from 'typebox'

const name = Type.String({ minLength: 1, maxLength: 64 })
const id = Type.String({ minLength: 1, maxLength: 256 })

/** What a caller says of one interaction. It never holds a value of a patient or a test. */
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
  /** How many refused calls one record tells of. */
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

/** A record as the register keeps it. */
export interface StoredRecord extends Omit<AuditRecord, 'id' | 'createdDate'> {
  id: string
  /** Position in its chain, from 1, without gaps. */
  seq: number
  createdDate: Date
  /** The W3C trace id of the interaction. */
  operationId: string
}
