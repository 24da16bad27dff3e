import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import createError, { FastifyError } from '@fastify/error'
import type { FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { Type, type Static } from 'typebox'
import { describeError } from '../telemetry/logger.ts'
import { toViolations, violations, type Violation } from './validation.ts'

// Without a stack, since refused callers can send any number of requests
export const HostKeyRefused =
  createError('HOST_KEY_REFUSED', 'The host key is missing or wrong', 401, Error, false)
export const CallerRefused =
  createError('CALLER_REFUSED', 'The address of the caller is not allowed', 403, Error, false)
export const InvalidBody = createError('INVALID_BODY', 'The body is not JSON in UTF-8', 400)
export const UnstorableBody = createError('INVALID_BODY', 'The body cannot be stored as it was sent', 400)
export const EncodedBody =
  createError('ENCODED_BODY', 'The body has a Content-Encoding other than identity', 415)
export const InvalidRequest = createError('INVALID_REQUEST', 'The request does not fit its schema', 400)
export const BodyTooLarge = createError('BODY_TOO_LARGE', 'The body is larger than 1 MiB', 413)
export const InvalidPrecondition = createError<[string]>('INVALID_PRECONDITION', '%s', 400)
export const InvalidCursor = createError('INVALID_CURSOR', 'The cursor does not belong to this search', 400)
const RouteNotFound = createError('ROUTE_NOT_FOUND', 'There is no such operation', 404)
export const KeysUnavailable = createError('KEYS_UNAVAILABLE', 'The service has not loaded its keys yet', 503)
export const DatabaseUnavailable =
  createError('DATABASE_UNAVAILABLE', 'The database cannot take the work now', 503)
export const Defect = createError('DEFECT', 'The service has a defect', 500)
const BadRequest = createError('BAD_REQUEST', 'The request cannot be read', 400)

/** The body of every error of a service (RFC 9457). */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  instance: Type.String({ description: 'names this very occurrence, in the log too' }),
  code: Type.String(),
  traceId: Type.String(),
  replacedBy: Type.Optional(Type.String({
    description: 'The id of the patient, or the path of the test result, that is there instead'
  })),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() })))
})
export type Problem = Static<typeof Problem>

// Up to this size all violations of a body are reported, then only the first: there could be any number
const SMALL_BODY = 16_384

/** Answers every error as problem+json; only errors of this project show their message. */
export const problems = fp(async (app) => {
  app.setErrorHandler(sendProblem)
}, { name: 'problems' })

export function sendRouteNotFound (request: FastifyRequest, reply: FastifyReply) {
  return sendProblem(new RouteNotFound(), request, reply)
}

export function sendProblem (thrown: unknown, request: FastifyRequest, reply: FastifyReply) {
  const error = toServiceError(thrown)
  const status = error.statusCode!
  const problem: Problem = {
    type: 'about:blank',
    title: STATUS_CODES[status]!,
    status,
    detail: error.message,
    instance: `urn:uuid:${randomUUID()}`,
    code: error.code,
    traceId: request.id,
    replacedBy: (thrown as { replacedBy?: string }).replacedBy,
    errors: error instanceof InvalidRequest || error instanceof UnstorableBody
      ? violationsOf(thrown as RequestError, request)
      : undefined
  }
  logProblem(problem, thrown, error, request)
  const { retryAfter = status === 503 ? 1 : undefined } = error as { retryAfter?: number }
  if (retryAfter) reply.header('retry-after', retryAfter)
  if (error instanceof EncodedBody) reply.header('accept-encoding', 'identity')
  return reply.code(status).type('application/problem+json').send(problem)
}

function logProblem (problem: Problem, thrown: unknown, error: FastifyError, request: FastifyRequest) {
  const { instance, code, status } = problem
  const level = isCountedRefusal(status) ? 'debug' : 'info'
  if (status < 500) return request.log[level]({ instance, code }, 'refused')
  if (status > 500) return request.log.warn({ err: error.cause ?? thrown, instance, code }, 'unavailable')
  request.log.error({ err: thrown, instance, code }, 'defect')
  const { type, stack } = describeError(thrown)
  request.operation?.recordException(type, stack)
}

/** Whether the guard refused the caller: such calls are counted, so that nobody can flood the log. */
export function isCountedRefusal (status: number) {
  return status === 401 || status === 403
}

/** The error of a violation that a handler found; see `Violation`. */
export function invalidRequest (pointer: string, message: string) {
  return Object.assign(new InvalidRequest(), { violations: [{ pointer, message }] })
}

interface RequestError {
  /** Violations that a handler found. */
  violations?: Violation[]
  validation?: FastifySchemaValidationError[]
  validationContext?: string
}

/** The error to answer. Messages of other errors, by Fastify or a driver, could quote the request. */
function toServiceError (thrown: unknown): FastifyError {
  if (thrown instanceof FastifyError && !thrown.code.startsWith('FST_')) return thrown
  const { validation, code, statusCode = 500 } = thrown as Partial<RequestError & FastifyError>
  if (validation) return new InvalidRequest()
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new BodyTooLarge()
  return statusCode < 500 ? new BadRequest() : new Defect()
}

function violationsOf (error: RequestError, request: FastifyRequest) {
  const { validation, validationContext } = error
  if (error.violations) return error.violations
  const schema = request.routeOptions.schema?.body as object | undefined
  const small = Number(request.headers['content-length'] ?? Infinity) <= SMALL_BODY
  if (validationContext === 'body' && schema && small) return violations(schema, request.body)
  return validation && toViolations(validation as Parameters<typeof toViolations>[0])
}
