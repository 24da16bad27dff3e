import createError from '@fastify/error'

export const InvalidSubmission = createError('INVALID_SUBMISSION', 'The body is invalid: %s', 400)
export const SubmissionTooLarge = createError('SUBMISSION_TOO_LARGE', 'The body is larger than 16 KiB', 413)
export const UnknownLog = createError('UNKNOWN_LOG', 'The witness does not know this log', 404)
export const UntrustedSignature =
  createError('UNTRUSTED_SIGNATURE', 'No signature by a trusted key of the log', 403, Error, false)
export const NothingStored = createError(
  'NOTHING_STORED', 'The store has nothing of this log, and FIRST_SIZE is smaller than the tree', 404
)
export const InconsistentCheckpoint = createError(
  'INCONSISTENT_CHECKPOINT', 'The proof does not show that the tree extends the one before', 422
)
export const StateChanged =
  createError('STATE_CHANGED', 'Another request changed the state of the log; send this one again', 503)
export const TooManyKeys = createError('TOO_MANY_KEYS', 'The log has too many keys', 403)
export const TooManyRequests =
  createError('TOO_MANY_REQUESTS', 'Too many requests from this address', 429, Error, false)
export const StoreUnavailable = createError('STORE_UNAVAILABLE', 'The store cannot take the work now', 503)
export const KeptAnother =
  createError('KEPT_ANOTHER', 'Another checkpoint of this size is stored: the state was changed', 500)

/** The old size, or the tree of this size, is not that of the latest checkpoint that was cosigned. */
export class SizeConflict extends Error {
  override name = 'SizeConflict'
  size: number

  constructor (size: number) {
    super('the latest checkpoint that was cosigned is another')
    this.size = size
  }
}
