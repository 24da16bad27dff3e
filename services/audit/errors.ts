import createError from '@fastify/error'
import { invalidRequest } from '#common/http/problems.ts'

export const InvalidRecordId =
  createError('INVALID_RECORD_ID', 'Idempotency-Key must be the UUID of the record', 400)
export const RecordIdReused =
  createError('RECORD_ID_REUSED', 'Another record is stored under this Idempotency-Key', 409)
export const RecordNotFound = createError('RECORD_NOT_FOUND', 'There is no such record or patient', 404)
export const NotAcceptable = createError<[string]>('NOT_ACCEPTABLE', 'Accept must allow one of %s', 406)
export const LogPartNotFound =
  createError('LOG_PART_NOT_FOUND', 'The log has no such checkpoint or tile', 404)
export const RecordNotSequenced =
  createError('RECORD_NOT_SEQUENCED', 'The record is not in the log yet; try again in a few seconds', 404)
export const TooManyRecords =
  createError<[number]>('TOO_MANY_RECORDS', 'There are more than %s records; ask for fewer, by date', 413)
export const FindingNotFound = createError('FINDING_NOT_FOUND', 'There is no such finding', 404)
export const FindingStale =
  createError('FINDING_STALE', 'The finding has changed since it was loaded', 412)
export const IfMatchRequired =
  createError('IF_MATCH_REQUIRED', 'If-Match must have the ETag of the finding', 428)
export const StateChangeRefused = createError(
  'STATE_CHANGE_REFUSED', 'A finding goes from new to under-review, to closed, and back to under-review', 409
)
export const PatientNotWatched = createError('PATIENT_NOT_WATCHED', 'The patient is not watched', 404)
export const TooManyWatched =
  createError('TOO_MANY_WATCHED', 'No more than 1000 patients can be watched', 409)
export const RegisterBusy = createError('REGISTER_BUSY', 'The register cannot store the record in time', 503)

/** @param parameter the name of a parameter of the query */
export function invalidQuery (parameter: string, message: string) {
  return invalidRequest(`#/${parameter}`, message)
}
