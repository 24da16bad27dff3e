import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors, type Dispatcher } from 'undici'
import { fieldsWithout, HOP_BY_HOP } from '../gateway/headers.ts'
import { answer, type answers } from './answers.ts'
import type { Replica } from './replica.ts'
import { NoReplica, type Replicas } from './replicas.ts'

const RESPONSE: ReadonlySet<string> = new Set(HOP_BY_HOP)
/** The ingress sets the forwarded ones itself, whatever a client sends. */
const REQUEST: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP, 'expect', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port'
])

/**
 * Streams a request to a replica, as soon as one is ready, and its response back. A replica may pause for
 * `timeoutMs` at the most. If no connection could be opened, nothing was sent and another replica is tried.
 */
export async function pass (
  replicas: Replicas,
  timeoutMs: number,
  request: FastifyRequest,
  reply: FastifyReply
) {
  reply.hijack()
  const client = new AbortController()
  replicas.arrived()
  reply.raw.once('close', () => {
    replicas.left()
    client.abort()
  })
  const options: Dispatcher.RequestOptions = {
    method: request.method,
    path: request.originalUrl,
    headers: requestFields(request),
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    signal: client.signal
  }
  try {
    while (!await sendTo(await replicas.nextReady(client.signal), options, request, reply));
  } catch (error) {
    if (!client.signal.aborted) answerError(error as Error, request, reply)
  }
  // Otherwise an unread rest of the body would block the connection
  request.raw.resume()
}

/** Fulfilled with false if nothing could be sent to `replica`. */
async function sendTo (
  replica: Replica,
  options: Dispatcher.RequestOptions,
  { raw }: FastifyRequest,
  reply: FastifyReply
) {
  const sent = { ...options, body: bodyOf(raw), responseHeaders: 'raw' } as const
  replica.outstanding++
  try {
    await replica.pool.stream(sent, ({ statusCode, headers }) => {
      const fields = fieldsWithout(headers as unknown as string[], RESPONSE)
      if (reply.server.isClosing()) fields.push('connection', 'close')
      return reply.raw.writeHead(statusCode, fields)
    })
    return true
  } catch (error) {
    if (!isUnsent(error as Error)) throw error
    replica.failed()
    return false
  } finally {
    replica.outstanding--
  }
}

function requestFields ({ raw, socket, headers: { host } }: FastifyRequest) {
  const { remoteAddress = '' } = socket
  const fields = fieldsWithout(raw.rawHeaders, REQUEST)
  fields.push('x-forwarded-for', remoteAddress.replace(/^::ffff:(?=\d+\.)/, ''), 'x-forwarded-proto', 'http')
  if (host !== undefined) fields.push('x-forwarded-host', host)
  return fields
}

/** The body of a request. Nothing of it is read before a connection to the replica is open. */
function bodyOf (message: IncomingMessage) {
  const { 'content-length': length, 'transfer-encoding': encoding } = message.headers
  if (encoding === undefined && !Number(length)) return null
  const body = new PassThrough()
  return body.once('resume', () => message.pipe(body))
}

/** Whether nothing was sent. A closed pool is that of a replica that was removed meanwhile. */
function isUnsent (error: NodeJS.ErrnoException) {
  return error.syscall === 'connect' || error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.ClientClosedError
}

function answerError (err: Error, request: FastifyRequest, reply: FastifyReply) {
  if (reply.raw.headersSent) return reply.raw.destroy()
  const reason = reasonOf(err)
  request.log.warn({ err, reason }, 'no replica answered a request')
  answer(reply.raw, reason, reply.server.isClosing())
}

function reasonOf (error: Error): keyof typeof answers {
  if (error instanceof NoReplica) return error.reason
  const isLate = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
  return isLate ? 'late' : 'broken'
}
