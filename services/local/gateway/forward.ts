import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import createError from '@fastify/error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dispatcher } from 'undici'
import { KeysUnavailable } from '#common/problems.ts'
import type { Secret } from '#common/secrets.ts'
import { isBroken } from '#common/upstream.ts'
import { ServiceUnavailable } from './errors.ts'
import { requestFields, responseFields } from './headers.ts'
import { withoutKey } from './keys.ts'

/** As large a body as the service takes. */
const MAX_KEPT = 2 ** 20

const RefusedKey = createError('SERVICE_REFUSED_KEY', 'The service does not take the gateway\'s host key')
const RefusedAddress = createError('SERVICE_REFUSED_ADDRESS', 'The service does not take calls from the gateway\'s address')
const ClientGone = createError('CLIENT_GONE', 'The client went away')

/** Sends `request` on to the `service` and its answer back, both as they come. */
export function forward (service: Dispatcher, hostKey: Secret<string>, request: FastifyRequest, reply: FastifyReply) {
  new Exchange(service, hostKey, request, reply).begin()
}

function fieldsOf ({ raw, trace, subscription, ip, id }: FastifyRequest) {
  const via = raw.headers.via
  const fields = requestFields(raw.rawHeaders)
  fields.push(
    'via', `${via ? `${via}, ` : ''}${raw.httpVersion} gateway`,
    'traceparent', trace.traceparent,
    'x-audit-actor', subscription!.id,
    'x-audit-client-address', ip.replace(/^::ffff:(?=\d+\.)/, ''),
    'x-audit-request-id', id
  )
  if (trace.tracestate) fields.push('tracestate', trace.tracestate)
  return fields
}

class Exchange implements Dispatcher.DispatchHandler {
  #service: Dispatcher
  #hostKey: Secret<string>
  #fields: string[]
  #upload: Upload | undefined
  #request: FastifyRequest
  #reply: FastifyReply
  #controller?: Dispatcher.DispatchController
  #settled = false
  #repeatable: boolean
  #key?: string
  #keyRefused = false
  #otherKeys?: AsyncGenerator<string>

  constructor (service: Dispatcher, hostKey: Secret<string>, request: FastifyRequest, reply: FastifyReply) {
    this.#service = service
    this.#hostKey = hostKey
    this.#fields = fieldsOf(request)
    this.#upload = Upload.of(request.raw)
    this.#request = request
    this.#reply = reply
    // RFC 9110, 9.2.2 allows more, but a DELETE that was carried out would come back as a 404
    this.#repeatable = request.method === 'GET' && !this.#upload
  }

  begin () {
    this.#reply.raw.once('close', () => {
      if (this.#reply.raw.writableFinished) return
      this.#settled = true
      this.#controller?.abort(new ClientGone())
    })
    this.#dispatch(this.#hostKey.current())
  }

  #dispatch (key: string | undefined) {
    if (key === undefined) return this.#fail(new KeysUnavailable())
    this.#key = key
    this.#service.dispatch({
      method: this.#request.method,
      path: withoutKey(this.#request.raw.url!),
      headers: [...this.#fields, 'x-functions-key', key],
      body: this.#upload?.stream() ?? null
    }, this)
  }

  onRequestStart (controller: Dispatcher.DispatchController) {
    this.#controller = controller
    if (this.#settled) controller.abort(new ClientGone())
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number) {
    if (statusCode < 200 || this.#settled) return
    this.#keyRefused = statusCode === 401
    if (this.#keyRefused) return
    this.#upload?.forget()
    if (statusCode === 403) return this.#fail(new RefusedAddress())
    const fields = (controller.rawHeaders as Array<string | Buffer>).map((field) => field.toString('latin1'))
    const answer = responseFields(fields)
    if (this.#reply.server.isClosing()) answer.push('connection', 'close')
    this.#reply.raw.writeHead(statusCode, answer)
    this.#reply.hijack()
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer) {
    if (this.#settled || this.#keyRefused || this.#reply.raw.write(chunk)) return
    controller.pause()
    this.#reply.raw.once('drain', () => controller.resume())
  }

  onResponseEnd () {
    if (this.#settled) return
    if (this.#keyRefused) this.#tryAnotherKey()
    else this.#reply.raw.end()
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error) {
    if (this.#settled) return
    if (this.#keyRefused) {
      this.#tryAnotherKey()
    } else if (this.#reply.raw.headersSent) {
      this.#request.failure = error
      this.#reply.raw.destroy()
    } else if (this.#repeatable && isBroken(error)) {
      this.#repeatable = false
      this.#dispatch(this.#key)
    } else {
      this.#fail(error)
    }
  }

  /** The service may know a newer key than this gateway, or not know the newest yet. */
  async #tryAnotherKey () {
    this.#keyRefused = false
    this.#otherKeys ??= this.#hostKey.insteadOf(this.#key!)
    const { value: key } = await this.#otherKeys.next()
    if (this.#settled) return
    // Meanwhile the body may have outgrown what is kept
    if (key === undefined || this.#upload?.isWhole === false) this.#fail(new RefusedKey())
    else this.#dispatch(key)
  }

  #fail (cause: Error) {
    this.#settled = true
    this.#upload?.forget()
    this.#reply.send(new ServiceUnavailable({ cause }))
  }
}

/**
 * A client's body, which can be sent from its beginning as long as it is not larger than any that the service takes.
 *
 * Each sending is a stream of its own: undici destroys the body of a call that ends early, and an IncomingMessage
 * that is destroyed takes the client's connection and the service's answer with it.
 */
class Upload {
  #message: IncomingMessage
  #kept: Buffer[] = []
  #bytes = 0
  #ended = false
  #sending: Readable | undefined
  /** Whether all that came so far is kept. */
  isWhole = true

  static of (message: IncomingMessage) {
    const { 'content-length': length, 'transfer-encoding': encoding } = message.headers
    return encoding === undefined && !Number(length) ? undefined : new Upload(message)
  }

  private constructor (message: IncomingMessage) {
    this.#message = message
    message.on('data', (chunk: Buffer) => {
      this.#keep(chunk)
      if (this.#sending?.push(chunk) === false) message.pause()
    })
    message.once('end', () => {
      this.#ended = true
      this.#sending?.push(null)
    })
    message.pause()
  }

  stream () {
    const message = this.#message
    const sending = new Readable({
      read: () => message.resume(),
      destroy: (error, done) => {
        if (this.#sending === sending) {
          this.#sending = undefined
          // What still comes is kept for another sending, or read away
          message.resume()
        }
        done(error)
      }
    })
    this.#sending = sending
    for (const chunk of this.#kept) sending.push(chunk)
    if (this.#ended) sending.push(null)
    return sending
  }

  /** No other sending follows. */
  forget () {
    this.isWhole = false
    this.#kept = []
  }

  #keep (chunk: Buffer) {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_KEPT) this.forget()
    else if (this.isWhole) this.#kept.push(chunk)
  }
}
