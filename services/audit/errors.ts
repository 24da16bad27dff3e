import createError from '@fastify/error'

export const InvalidRecordId =
  createError('INVALID_RECORD_ID', 'Idempotency-Key must be the UUID of the record', 400)
export const RecordIdReused =
  createError('RECORD_ID_REUSED', 'Another record is stored under this Idempotency-Key', 409)
export const RegisterBusy = createError('REGISTER_BUSY', 'The register cannot store the record in time', 503)
