import {
  MongoError, MongoNetworkError, MongoOIDCError, MongoServerError, MongoServerSelectionError,
  MongoWriteConcernError
} from 'mongodb'

const DUPLICATE_KEY = 11_000
/** Cosmos DB's TooManyRequests. */
const THROTTLED = 16_500
// BadValue, FailedToParse, TypeMismatch, CommandNotFound, ImmutableField
const INVALID_COMMAND = new Set<unknown>([2, 9, 14, 59, 66])

// Unauthorized, AuthenticationFailed, AtlasError: the password was changed, or the user was deleted
const LOGIN_REFUSED = new Set<unknown>([13, 18, 8_000])
// Only a new connection gets this one: rotation may be just about to publish the new password
const AUTHENTICATION_FAILED = 18

// A server that shuts down, steps down or times out. Source: the driver specification of retryable writes.
const TRANSIENT_CODES = new Set<unknown>([
  6, 7, 50, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, THROTTLED
])
// MongoOIDCError: no token could be fetched
const TRANSIENT_CLASSES = [
  MongoNetworkError, MongoOIDCError, MongoServerSelectionError, MongoWriteConcernError
]

// The driver does not wrap errors of a socket that breaks while it waits for the socket to drain
const SOCKET_CODES = new Set<unknown>([
  'EPIPE', 'ECONNRESET', 'ECONNABORTED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'
])

export function isDuplicateKey (error: unknown) {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY
}

/** Whether a write was applied; false where a document with its key exists. */
export function unlessThere (write: Promise<unknown>) {
  return write.then(() => true, (error) => {
    if (isDuplicateKey(error)) return false
    throw error
  })
}

export function isThrottled (error: MongoError) {
  return error.code === THROTTLED
}

export function isLoginRefused (error: MongoError) {
  return LOGIN_REFUSED.has(error.code)
}

/** Whether an operation failed for a temporary reason. It may have been applied, and may be retried. */
export function isTransient (error: unknown) {
  if (!(error instanceof MongoError)) return false
  return TRANSIENT_CODES.has(error.code) || error.hasErrorLabel('RetryableWriteError') ||
    TRANSIENT_CLASSES.some((type) => error instanceof type) ||
    error.name === 'MongoWaitQueueTimeoutError' // the driver does not export its class
}

/** Whether the database, rather than the operation, caused `error`. */
export function isDatabaseFailure (error: unknown): error is MongoError {
  return error instanceof MongoError && !isDuplicateKey(error) && !INVALID_COMMAND.has(error.code)
}

/** The error as the driver should have thrown it. */
export function toDriverError (thrown: unknown) {
  if (!(thrown instanceof Error) || !SOCKET_CODES.has((thrown as NodeJS.ErrnoException).code)) return thrown
  return new MongoNetworkError(thrown.message, { cause: thrown })
}

/** The delay in ms before the operation is retried; undefined where a retry cannot succeed. */
export function retryDelay (error: MongoError, attempt: number) {
  if (!isTransient(error) && error.code !== AUTHENTICATION_FAILED) return undefined
  const [, requested = 0] = (isThrottled(error) && /RetryAfterMs=(\d+)/.exec(error.message)) || []
  return Math.max(Number(requested), backoff(attempt))
}

/** An exponential delay with jitter, of at most `max` ms. */
export function backoff (attempt: number, max = 1_000) {
  return Math.min(max, 25 * 2 ** attempt) * (0.5 + Math.random() / 2)
}
