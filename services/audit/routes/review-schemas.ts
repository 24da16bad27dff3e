import { Type, type Static } from 'typebox'
import { FINDING_STATES } from '../review/documents.ts'
import { ruleNames } from '../review/rules.ts'

const date = (description: string) => Type.String({ format: 'date-time', description })
const state = Type.Enum(FINDING_STATES, { type: 'string', description: 'The state of the review' })
const rule = Type.Enum(ruleNames, { type: 'string', description: 'The rule that led to the finding' })
const person = Type.Optional(Type.String({ description: 'The person for whom the subscription called' }))

export const FindingSearch = Type.Object({
  state: Type.Optional(state),
  rule: Type.Optional(rule),
  actor: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'The subscription' })),
  patientId: Type.Optional(Type.String({ format: 'uuid', description: 'The id of the patient' })),
  limit: Type.Optional(Type.Integer({
    minimum: 1, maximum: 200, description: 'The maximum number of findings on the page, 100 by default'
  })),
  cursor: Type.Optional(Type.String({ description: 'The cursor in the Link of the previous page' }))
}, { additionalProperties: false })
export type FindingSearch = Static<typeof FindingSearch>

const finding = {
  id: '5b0f4c1e-93d2-8a11-9c57-6a3e2f1d0b48',
  rule: 'many-patients',
  date: '2026-11-28T13:05:12.345Z',
  actor: 'ward-7',
  onBehalfOf: 'nurse-1138',
  records: ['019e2f0c-6f3a-7cc1-8d7c-0f5b7d9f2e10'],
  count: 1,
  state: 'under-review',
  history: [{
    state: 'under-review',
    by: 'auditor-1',
    onBehalfOf: 'reviewer-17',
    date: '2026-11-28T14:00:00.000Z',
    auditId: '019e2f3e-8c1d-7cc1-8d7c-0f5b7d9f2e11'
  }]
}

export const FindingView = Type.Object({
  id: Type.String({ format: 'uuid' }),
  rule,
  date: date('The date of the first record'),
  actor: Type.String({ description: 'The subscription' }),
  onBehalfOf: person,
  patientId: Type.Optional(Type.String({ format: 'uuid' })),
  records: Type.Array(Type.String({ format: 'uuid' }), { description: 'The ids of the first 100 records' }),
  count: Type.Integer({ description: 'The number of records' }),
  state,
  history: Type.Array(Type.Object({
    state,
    by: Type.String({
      description: 'The subscription of the reviewer; `rules` where records were found after the finding ' +
        'was closed'
    }),
    onBehalfOf: person,
    date: date('The date of the change'),
    reason: Type.Optional(Type.String()),
    auditId: Type.Optional(Type.String({ format: 'uuid', description: 'The audit record of the change' }))
  }))
}, { examples: [finding] })

export const FindingPatch = Type.Object({
  state,
  reason: Type.Optional(Type.String({
    minLength: 10,
    maxLength: 500,
    pattern: '^[^\\s\\p{Cc}][^\\p{Cc}]*[^\\s\\p{Cc}]$',
    description: 'Why the finding is closed, or reopened: 10 to 500 characters'
  }))
}, {
  additionalProperties: false,
  examples: [{ state: 'closed', reason: 'The ward was evacuated that night' }]
})
export type FindingPatch = Static<typeof FindingPatch>

export const WatchedPatientView = Type.Object({
  patientId: Type.String({ format: 'uuid' }),
  date: date('Since when the patient is watched'),
  by: Type.Optional(Type.String({ description: 'The subscription of the auditor' })),
  onBehalfOf: person
}, {
  examples: [{
    patientId: '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11',
    date: '2026-11-28T13:00:00.000Z',
    by: 'auditor-1',
    onBehalfOf: 'reviewer-17'
  }]
})
