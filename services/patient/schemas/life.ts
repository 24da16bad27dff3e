import { Type } from 'typebox'
import { storedAda } from './patient.ts'
import { closed, dateTime, uuid } from './values.ts'

export const MoveRequest = closed({
  patientId: { ...uuid, description: 'The id of the patient that the test result belongs to' }
}, { patientId: storedAda.id })

export const MergeRequest = closed({
  from: { ...uuid, description: 'The id of the patient that is merged into that of the path' }
}, { from: '9d1c7e0a-51d6-4f0e-9a53-5b1f2f6a1c22' })

/** A version that was replaced. */
export const Version = Type.Object({
  id: { ...uuid, description: 'The id of the document, that of another patient where a merge added it' },
  version: Type.String({ description: 'The version, which is the ETag without its quotes' }),
  lastUpdated: dateTime,
  replaced: dateTime
}, {
  examples: [{
    id: storedAda.id,
    version: '0198c1f2-7a3b-7000-8000-0f3f2f6a1c11',
    lastUpdated: storedAda.lastUpdated,
    replaced: '2026-02-03T14:00:00.000Z'
  }]
})
