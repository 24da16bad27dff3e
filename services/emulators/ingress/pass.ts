import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors, type Dispatcher } from 'undici'
import { endToEnd } from '../gateway/headers.ts'
import type { Replica } from './replica.ts'
import { NoReplica, TooManyWaiting, type Replicas } from './replicas.ts'

const RESET = 'upstream connect error or disconnect/reset before headers. reset reason:'

/** The responses of the ingress itself, in the words of Envoy. */
const answers = {
  overflow: [503, `${RESET} overflow`],
  absent: [503, 'no healthy upstream'],
  broken: [502, `${RESET} connection termination`],
  late: [504, 'upstream request timeout']
} as const

/** The headers that the ingress sets itself, whatever a client sends. */
const OWN = ['expect', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port']

/**
 * Streams a request to a replica, as soon as one is ready, and its response back. A replica may pause for
 * `timeoutMs` at the most. If no connection can be opened, nothing is sent and another replica is tried.
 */
export async function pass (
  replicas: Replicas, timeoutMs: number, request: FastifyRequest, reply: FastifyReply
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

/** Sends a request to `replica`; fulfilled with false if no connection could be opened. */
async function sendTo (
  replica: Replica, options: Dispatcher.RequestOptions, { raw }: FastifyRequest, reply: FastifyReply
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

/** Whether nothing was sent. The pool of a replica that has been removed meanwhile is closed. */
function isUnsent (error: NodeJS.ErrnoException) {
  return error.syscall === 'connect' || error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.ClientClosedError
}

/** Responds as Envoy does: in plain text, without Retry-After. */
function answerError (err: Error, request: FastifyRequest, { raw, server }: FastifyReply) {
  if (raw.headersSent) return raw.destroy()
  const reason = reasonOf(err)
  request.log.warn({ err, reason }, 'no replica answered a request')
  const [statusCode, text] = answers[reason]
  const headers = { server: 'envoy', 'content-type': 'text/plain', 'content-length': text.length }
  raw.writeHead(statusCode, { ...headers, ...server.isClosing() && { connection: 'close' } }).end(text)
}

function reasonOf (error: Error): keyof typeof answers {
  if (error instanceof NoReplica) return 'absent'
  if (error instanceof TooManyWaiting) return 'overflow'
  const isLate = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
  return isLate ? 'late' : 'broken'
}
