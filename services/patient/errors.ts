import createError from '@fastify/error'
import { invalidRequest } from '#common/http/problems.ts'

export { InvalidCursor } from '#common/http/problems.ts'

export const PatientNotFound = createError('PATIENT_NOT_FOUND', 'There is no such patient', 404)
export const PatientStale = createError('PATIENT_STALE', 'The patient has changed since it was loaded', 412)
export const PatientExists = createError('PATIENT_EXISTS', 'The patient exists, and If-None-Match is *', 412)
export const TestNotFound = createError('TEST_NOT_FOUND', 'The patient has no such test result', 404)
export const TestStale = createError('TEST_STALE', 'The test result has changed since it was loaded', 412)
export const TestExists = createError('TEST_EXISTS', 'The test result exists, and If-None-Match is *', 412)
export const VersionNotFound = createError('VERSION_NOT_FOUND', 'There is no such version', 404)
export const TransferInProgress = createError(
  'TRANSFER_IN_PROGRESS', 'A move or merge of the same patient or test result is still in progress', 409
)
export const InvalidIdempotencyKey =
  createError('INVALID_IDEMPOTENCY_KEY', 'Idempotency-Key must be 1 to 255 visible ASCII characters', 400)
export const IdempotencyKeyReused =
  createError('IDEMPOTENCY_KEY_REUSED', 'Another body was sent with this Idempotency-Key', 409)
export const InvalidIfNoneExist = createError<[string]>('INVALID_IF_NONE_EXIST', '%s', 400)
export const SeveralPatients = createError('SEVERAL_PATIENTS', 'Several patients have this identifier', 412)
export const RequestInProgress =
  createError('REQUEST_UNDER_WAY', 'The first request with this key or condition is still in progress', 409)
export const AuditUnavailable =
  createError('AUDIT_UNAVAILABLE', 'The audit service cannot store the record now', 503)
export const OutOfTime = createError('OUT_OF_TIME', 'The request could not be finished in time', 503)

/** Whether the error depends on stored data, so that its response discloses something. */
export function isRefusal (error: unknown) {
  const { statusCode = 500 } = error as { statusCode?: number }
  return statusCode < 500
}

/** @param property the name of the property of the body, or a path to it; empty for the body */
export function invalid (property: string, message: string) {
  return invalidRequest(property ? `#/${property}` : '#', message)
}
