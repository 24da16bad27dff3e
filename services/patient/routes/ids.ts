import { isUuid } from '#common/http/formats.ts'
import { PatientNotFound, TestNotFound } from '../errors.ts'

/** The ids of a path as they are stored; undefined if they are not UUIDs. */
export interface Ids {
  id?: string
  patientId?: string
}

/** An id of a path in lower case, as it is stored; undefined if it is not a UUID. */
export function storedId (id: string) {
  return isUuid(id) ? id.toLowerCase() : undefined
}

export function idsOf ({ patientId, testId }: { patientId: string, testId: string }): Ids {
  return { id: storedId(testId), patientId: storedId(patientId) }
}

/** @throws {PatientNotFound | TestNotFound} */
export function requireIds ({ id, patientId }: Ids) {
  return { patientId: patientId ?? throwPatientNotFound(), id: id ?? throwTestNotFound() }
}

export function throwPatientNotFound (): never {
  throw new PatientNotFound()
}

function throwTestNotFound (): never {
  throw new TestNotFound()
}
