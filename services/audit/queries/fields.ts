/** Where a record names a patient or test result that it is about. */
export const SUBJECT_FIELDS = ['resource.id', 'resource.patientId', 'disclosed.id'] as const

/** By criterion, the field of a record that it is compared with. */
export const CRITERION_FIELDS = {
  actor: 'actor',
  onBehalfOf: 'onBehalfOf',
  purpose: 'purpose',
  type: 'resource.type',
  operation: 'resource.operation',
  outcome: 'outcome',
  operationId: 'operationId',
  clientAddress: 'clientAddress'
} as const

/** The fields of records that have an index. */
export const queryFields = [...SUBJECT_FIELDS, ...Object.values(CRITERION_FIELDS)]
