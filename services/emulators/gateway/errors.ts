import createError from '@fastify/error'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { recordMetric } from '#common/telemetry/metrics.ts'

// Codes, statuses and messages as API Management has them
export const MissingKey = createError(
  'GATEWAY_KEY_MISSING',
  'Access denied due to missing subscription key. ' +
  'Make sure to include subscription key when making requests to an API.',
  401
)
export const InvalidKey = createError(
  'GATEWAY_KEY_INVALID',
  'Access denied due to invalid subscription key. ' +
  'Make sure to provide a valid key for an active subscription.',
  401
)
export const NoOperation = createError('GATEWAY_NO_OPERATION', 'Resource not found', 404)
const Exceeded = {
  'rate-limit': createError('GATEWAY_RATE_EXCEEDED', 'Rate limit is exceeded. Try again in %s seconds.', 429),
  quota: createError(
    'GATEWAY_QUOTA_EXCEEDED', 'Out of call volume quota. Quota will be replenished in %s.', 403)
}
const ServiceUnavailable = createError('GATEWAY_SERVICE_UNAVAILABLE', 'Service unavailable', 503)

/** By the code of an error, the kind of refusal in metrics. */
const REFUSALS: Record<string, string> = {
  GATEWAY_KEY_MISSING: 'subscription-key',
  GATEWAY_KEY_INVALID: 'subscription-key',
  GATEWAY_RATE_EXCEEDED: 'rate-limit',
  GATEWAY_QUOTA_EXCEEDED: 'quota'
}

const RETRY_AFTER_SECONDS = 1

/** The error for a subscription that has made too many calls and may make the next one in `seconds`. */
export function exceeded (kind: keyof typeof Exceeded, seconds: number) {
  const time = [seconds / 3_600, seconds / 60 % 60, seconds % 60]
    .map((part) => String(Math.floor(part)).padStart(2, '0')).join(':')
  return Object.assign(new Exceeded[kind](kind === 'quota' ? time : seconds), { retryAfter: seconds })
}

/** Answers with the response that API Management has for `error`. */
export function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  if (!error.code?.startsWith('GATEWAY_')) {
    // Fastify checks the body's type before it calls the handler for unknown paths
    if (request.is404) error = new NoOperation()
    else if (error.statusCode === 503) error = new ServiceUnavailable({ cause: error })
    else request.failure = error
  }
  const refusal = REFUSALS[error.code]
  if (refusal) recordMetric('refused_calls', 1, { kind: refusal })
  switch (error.statusCode) {
    case 401:
      reply.header('www-authenticate', 'AzureApiManagementKey ' +
        `realm="${baseUrl(request)}",name="Ocp-Apim-Subscription-Key",type="header"`)
      return send(reply, 401, error.message)
    case 403:
    case 429:
      reply.header('retry-after', (error as ReturnType<typeof exceeded>).retryAfter)
      return send(reply, error.statusCode, error.message)
    case 404:
      return send(reply, error.statusCode, error.message)
    case 503:
      request.failure = error.cause
      reply.header('retry-after', RETRY_AFTER_SECONDS)
      return send(reply, 503, error.message, request.id)
    default:
      return send(reply, 500, 'Internal server error', request.id)
  }
}

function send (reply: FastifyReply, statusCode: number, message: string, activityId?: string) {
  return reply.code(statusCode).send({ statusCode, message, activityId })
}

/** The URL of the gateway, as the client called it. */
export function baseUrl ({ headers, socket }: Pick<FastifyRequest, 'headers' | 'socket'>) {
  const isValid = /^[\w.:[\]-]+$/.test(headers.host ?? '')
  return `http://${isValid ? headers.host : `${socket.localAddress}:${socket.localPort}`}`
}
