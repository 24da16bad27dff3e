import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors, type Dispatcher } from 'undici'
import { endToEnd } from '../gateway/headers.ts'
import { answer, type answers } from './answers.ts'
import type { Replica } from './replica.ts'
import { NoReplica, type Replicas } from './replicas.ts'

/** The headers that the ingress sets itself, whatever a client sends. */
const OWN = ['expect', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port']

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
    headers: headersOf(request),
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
  replica.outstanding++
  try {
    await replica.pool.stream({ ...options, body: bodyOf(raw) }, ({ statusCode, headers }) => {
      const connection = reply.server.isClosing() && { connection: 'close' }
      return reply.raw.writeHead(statusCode, { ...endToEnd(headers), ...connection })
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

function headersOf ({ raw, socket }: FastifyRequest) {
  const headers = endToEnd(raw.headers, OWN)
  headers['x-forwarded-for'] = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '')
  headers['x-forwarded-proto'] = 'http'
  headers['x-forwarded-host'] = raw.headers.host
  return headers
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
