import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import createError from '@fastify/error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dispatcher, Pool } from 'undici'
import { ServiceUnavailable } from './errors.ts'
import { requestFields, responseFields } from './headers.ts'
import { withoutKey } from './keys.ts'

/** Tells the service's host key of the moment. */
export type HostKey = () => string

const RefusedKey = createError('SERVICE_REFUSED_KEY', 'The service does not take the gateway\'s host key')
const RefusedAddress = createError('SERVICE_REFUSED_ADDRESS', 'The service does not take calls from the gateway\'s address')
const ClientGone = createError('CLIENT_GONE', 'The client went away')

/** Sends `request` on to the service behind `pool` and its answer back, both as they come. */
export function forward (pool: Pool, hostKey: HostKey, request: FastifyRequest, reply: FastifyReply) {
  new Exchange(pool, callOf(request, hostKey()), request, reply).begin()
}

function callOf (request: FastifyRequest, hostKey: string): Dispatcher.DispatchOptions {
  const { raw, trace, subscription } = request
  const via = raw.headers.via
  const headers = requestFields(raw.rawHeaders)
  headers.push(
    'via', `${via ? `${via}, ` : ''}${raw.httpVersion} gateway`,
    'traceparent', trace.traceparent,
    'x-functions-key', hostKey,
    'x-audit-actor', subscription!.id,
    'x-audit-client-address', request.ip.replace(/^::ffff:(?=\d+\.)/, ''),
    'x-audit-request-id', request.id
  )
  if (trace.tracestate) headers.push('tracestate', trace.tracestate)
  return { method: request.method, path: withoutKey(raw.url!), headers, body: bodyOf(raw) }
}

/**
 * The client's body, as a stream of its own: undici destroys the body of a call that ends early, and an
 * IncomingMessage that is destroyed takes the client's connection and the service's answer with it.
 */
function bodyOf (message: IncomingMessage): Readable | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = message.headers
  if (encoding === undefined && !Number(length)) return null
  const body = new Readable({
    read: () => message.resume(),
    destroy (error, done) {
      message.off('data', pass).off('end', end).resume()
      done(error)
    }
  })
  const pass = (chunk: Buffer) => { if (!body.push(chunk)) message.pause() }
  const end = () => { body.push(null) }
  message.on('data', pass).on('end', end).pause()
  return body
}

class Exchange implements Dispatcher.DispatchHandler {
  #pool: Pool
  #call: Dispatcher.DispatchOptions
  #request: FastifyRequest
  #reply: FastifyReply
  #controller?: Dispatcher.DispatchController
  #settled = false
  #repeatable: boolean

  constructor (pool: Pool, call: Dispatcher.DispatchOptions, request: FastifyRequest, reply: FastifyReply) {
    this.#pool = pool
    this.#call = call
    this.#request = request
    this.#reply = reply
    // RFC 9110, 9.2.2 allows more, but a DELETE that was carried out would come back as a 404
    this.#repeatable = call.method === 'GET' && call.body === null
  }

  begin () {
    this.#reply.raw.once('close', () => {
      if (this.#reply.raw.writableFinished) return
      this.#settled = true
      this.#controller?.abort(new ClientGone())
    })
    this.#pool.dispatch(this.#call, this)
  }

  onRequestStart (controller: Dispatcher.DispatchController) {
    this.#controller = controller
    if (this.#settled) controller.abort(new ClientGone())
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number) {
    if (statusCode < 200 || this.#settled) return
    // The place to fetch the host key anew and try once more
    if (statusCode === 401) return this.#fail(new RefusedKey())
    if (statusCode === 403) return this.#fail(new RefusedAddress())
    const fields = (controller.rawHeaders as Array<string | Buffer>).map((field) => field.toString('latin1'))
    const answer = responseFields(fields)
    if (this.#reply.server.isClosing()) answer.push('connection', 'close')
    this.#reply.raw.writeHead(statusCode, answer)
    this.#reply.hijack()
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer) {
    if (this.#settled || this.#reply.raw.write(chunk)) return
    controller.pause()
    this.#reply.raw.once('drain', () => controller.resume())
  }

  onResponseEnd () {
    if (!this.#settled) this.#reply.raw.end()
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error) {
    if (this.#settled) return
    if (this.#reply.raw.headersSent) {
      this.#request.failure = error
      this.#reply.raw.destroy()
    } else if (this.#repeatable && mayBeStale(error)) {
      this.#repeatable = false
      this.#pool.dispatch(this.#call, this)
    } else {
      this.#fail(error)
    }
  }

  #fail (cause: Error) {
    this.#settled = true
    this.#reply.send(new ServiceUnavailable({ cause }))
  }
}

/** Whether a connection broke under a call, as a kept one does when the service closes it at that moment. */
function mayBeStale ({ code }: NodeJS.ErrnoException) {
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE'
}
