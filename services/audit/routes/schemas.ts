import { Type } from 'typebox'
import { AuditRecord } from '#common/audit-record.ts'
import { purposesOfUse } from '#common/purpose-of-use.ts'

const text = (maxLength: number, description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }))

const date = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }))

const dates = {
  from: date('The earliest date and time of a record'),
  to: date('The date and time before which records were stored')
}

const page = {
  sort: Type.Enum(['createdDate', '-createdDate'], {
    type: 'string', default: '-createdDate', description: 'The sort order; - means descending'
  }),
  limit: Type.Optional(Type.Integer({
    minimum: 1, maximum: 200, description: 'The maximum number of records on the page, 100 by default'
  })),
  cursor: Type.Optional(Type.String({ description: 'The cursor in the Link of the previous page' }))
}

const criteria = {
  ...dates,
  actor: text(256, 'The subscription that called'),
  onBehalfOf: text(128, 'The person for whom it called'),
  purpose: Type.Optional(Type.Enum(purposesOfUse, {
    type: 'string', description: 'The purpose of use (HL7 v3)'
  })),
  type: text(64, 'The type of the resource: patient, test, audit-record, host-key or caller-address'),
  // The id is recorded with the question, so it must not be a name
  id: Type.Optional(Type.String({
    pattern: '^[A-Za-z0-9._:-]*[0-9][A-Za-z0-9._:-]*$',
    maxLength: 256,
    description: 'A patient, test result or record that a record is about, or discloses'
  })),
  operation: text(64, 'What was done'),
  outcome: Type.Optional(Type.Enum(['success', 'failure'], { type: 'string' })),
  operationId: text(64, 'The trace of the interaction (W3C)'),
  clientAddress: text(256, 'The address of the client')
}

export const RecordSearch = Type.Object({ ...criteria, ...page }, { additionalProperties: false })

/** What a pack of evidence is about: the criteria of a search. It has no pages. */
export const EvidenceSearch = Type.Object(criteria, { additionalProperties: false })

export const AccountingSearch = Type.Object(dates, { additionalProperties: false })

export const AccessLogSearch = Type.Object({ ...dates, ...page }, { additionalProperties: false })

const required = (description: string) => Type.String({ format: 'date-time', description })

export const SummarySearch = Type.Object({
  from: required('The earliest date and time of a record'),
  to: required('The date and time before which records were stored')
}, { additionalProperties: false })

const { id, createdDate, ...content } = AuditRecord.properties

const example = {
  id: '019e2f0c-6f3a-7cc1-8d7c-0f5b7d9f2e10',
  seq: 17,
  createdDate: '2026-11-28T13:05:12.345Z',
  operationId: '0af7651916cd43dd8448eb211c80319c',
  sourceSystemName: 'patient',
  resource: { type: 'patient', id: '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11', operation: 'load' },
  actor: 'ward-7',
  onBehalfOf: 'nurse-1138',
  purpose: 'TREAT',
  clientAddress: '192.0.2.17',
  disclosed: [
    { id: '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11', version: '019e2f0c-0000-7000-8000-000000000001' }
  ]
}

/** A record as it is returned. */
export const StoredAuditRecord = Type.Object({
  id: Type.String({ format: 'uuid' }),
  seq: Type.Integer({ description: 'The position of the record in its chain' }),
  createdDate: Type.String({ format: 'date-time' }),
  operationId: Type.String({ description: 'The trace of the interaction (W3C)' }),
  ...content
}, { examples: [example] })

export const ActorSummary = Type.Object({
  actor: Type.String(),
  from: Type.String({ format: 'date-time' }),
  to: Type.String({ format: 'date-time' }),
  days: Type.Array(Type.Object({
    day: Type.String({ description: 'The day (UTC)' }),
    operations: Type.Array(Type.Object({
      type: Type.String(), operation: Type.String(), count: Type.Integer()
    })),
    patients: Type.Integer({ description: 'How many patients the records are about, up to 100,000' })
  }))
}, {
  examples: [{
    actor: 'ward-7',
    from: '2026-11-01T00:00:00Z',
    to: '2026-12-01T00:00:00Z',
    days: [{
      day: '2026-11-28',
      operations: [
        { type: 'patient', operation: 'search', count: 41 },
        { type: 'patient', operation: 'load', count: 12 }
      ],
      patients: 23
    }]
  }]
})

export const StatisticsSearch = Type.Object({
  from: required('The earliest date and time of a record; the interval that it is in is counted as a whole'),
  to: required('The date and time before which records were stored; its interval is counted as a whole'),
  by: Type.Enum(['hour', 'day'], {
    type: 'string', default: 'hour', description: 'The length of the intervals (UTC)'
  }),
  actor: text(256, 'The subscription that called'),
  type: text(64, 'The type of the resource'),
  operation: text(64, 'What was done'),
  outcome: Type.Optional(Type.Enum(['success', 'failure'], { type: 'string' }))
}, { additionalProperties: false })

export const Statistics = Type.Object({
  from: Type.String({ format: 'date-time', description: 'The start of the first interval' }),
  to: Type.String({ format: 'date-time', description: 'The end of the last interval' }),
  by: Type.String(),
  until: Type.String({
    format: 'date-time', description: 'Every record before this date that was stored by then is counted'
  }),
  rows: Type.Array(Type.Object({
    start: Type.String({ format: 'date-time', description: 'The start of the interval' }),
    actor: Type.Optional(Type.String()),
    type: Type.String(),
    operation: Type.String(),
    outcome: Type.Optional(Type.String()),
    count: Type.Integer()
  }))
}, {
  examples: [{
    from: '2026-11-28T00:00:00.000Z',
    to: '2026-11-29T00:00:00.000Z',
    by: 'hour',
    until: '2026-11-28T13:05:12.345Z',
    rows: [{
      start: '2026-11-28T13:00:00.000Z', actor: 'ward-7', type: 'patient', operation: 'search', count: 41
    }]
  }]
})
