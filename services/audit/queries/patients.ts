import type { AuditRecord } from '#common/audit-record.ts'

type Content = Pick<AuditRecord, 'resource' | 'disclosed'>

/** The ids of the patients that a record is about, those disclosed in a search included. */
export function patientsOf ({ resource, disclosed = [] }: Content) {
  const { type, id, patientId } = resource
  // Disclosed test results are of the patient that the record names
  const found = type === 'patient' ? [id, ...disclosed.map((one) => one.id)] : []
  return [...new Set([patientId, ...found])].filter((patient) => patient !== undefined)
}

/** The record as far as it concerns one patient: without other patients that a search disclosed too. */
export function onlyAbout<R extends Content> (patientId: string, record: R): R {
  const { resource, disclosed } = record
  if (!disclosed || resource.type !== 'patient') return record
  return { ...record, disclosed: disclosed.filter(({ id }) => id === patientId) }
}
