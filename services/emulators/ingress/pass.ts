import type { FastifyReply, FastifyRequest } from 'fastify'
import createError from '@fastify/error'
import { errors, type Dispatcher } from 'undici'
import { fieldsWithout, HOP_BY_HOP } from '../gateway/headers.ts'
import { Upload } from './upload.ts'
import { answer, type answers } from './answers.ts'
import { NoReplica, type Replicas } from './replicas.ts'
import type { Replica } from './replica.ts'

const RESPONSE: ReadonlySet<string> = new Set(HOP_BY_HOP)
const ClientGone = createError('CLIENT_GONE', 'The client went away')

/** Told anew to the service, whatever a client says of it. */
const OWN: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'expect', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port'])

/** Sends `request` to a replica as soon as there is one, which has `timeoutMs` to answer, and the answer back, both as they come. */
export function pass (replicas: Replicas, timeoutMs: number, request: FastifyRequest, reply: FastifyReply) {
  reply.hijack()
  new Passage(replicas, timeoutMs, request, reply).begin()
}

class Passage implements Dispatcher.DispatchHandler {
  #replicas: Replicas
  #timeoutMs: number
  #request: FastifyRequest
  #reply: FastifyReply
  #fields: string[]
  #upload: Upload | undefined
  #replica: Replica | undefined
  #controller: Dispatcher.DispatchController | undefined
  #gone = new AbortController()
  /** Whether the replica's answer has begun. */
  #answered = false

  constructor (replicas: Replicas, timeoutMs: number, request: FastifyRequest, reply: FastifyReply) {
    this.#replicas = replicas
    this.#timeoutMs = timeoutMs
    this.#request = request
    this.#reply = reply
    this.#upload = Upload.of(request.raw, true)
    const { remoteAddress = '' } = request.socket
    this.#fields = fieldsWithout(request.raw.rawHeaders, OWN)
    this.#fields.push('x-forwarded-for', remoteAddress.replace(/^::ffff:(?=\d+\.)/, ''), 'x-forwarded-proto', 'http')
    if (request.headers.host !== undefined) this.#fields.push('x-forwarded-host', request.headers.host)
  }

  begin () {
    this.#replicas.arrived()
    this.#reply.raw.once('close', () => {
      this.#replicas.left()
      if (this.#reply.raw.writableFinished) return
      this.#gone.abort()
      this.#controller?.abort(new ClientGone())
    })
    this.#send()
  }

  onRequestStart (controller: Dispatcher.DispatchController) {
    this.#controller = controller
    if (this.#gone.signal.aborted) controller.abort(new ClientGone())
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number) {
    if (statusCode < 200) return
    this.#answered = true
    this.#upload?.forget()
    const fields = fieldsWithout((controller.rawHeaders as Array<string | Buffer>).map((field) => field.toString('latin1')), RESPONSE)
    if (this.#reply.server.isClosing()) fields.push('connection', 'close')
    this.#reply.raw.writeHead(statusCode, fields)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer) {
    if (this.#reply.raw.write(chunk)) return
    controller.pause()
    this.#reply.raw.once('drain', () => controller.resume())
  }

  onResponseEnd () {
    this.#leaveReplica()
    this.#reply.raw.end()
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error) {
    const replica = this.#replica!
    this.#leaveReplica()
    if (this.#gone.signal.aborted) return
    if (isUnconnected(error)) {
      replica.failed()
      // Nothing of it was sent
      if (!this.#upload || this.#upload.isWhole) return this.#send()
    }
    if (this.#answered) return this.#reply.raw.destroy()
    const { HeadersTimeoutError, BodyTimeoutError } = errors
    this.#answer(error instanceof HeadersTimeoutError || error instanceof BodyTimeoutError ? 'late' : 'broken', error)
  }

  async #send () {
    try {
      const replica = this.#replicas.ready() ?? await this.#replicas.nextReady(this.#gone.signal)
      this.#replica = replica
      replica.outstanding++
      replica.pool.dispatch({
        method: this.#request.method,
        path: this.#request.originalUrl,
        headers: this.#fields,
        body: this.#upload?.body() ?? null,
        headersTimeout: this.#timeoutMs,
        bodyTimeout: this.#timeoutMs
      }, this)
    } catch (error) {
      if (!this.#gone.signal.aborted) this.#answer(error instanceof NoReplica ? error.reason : 'broken', error as Error)
    }
  }

  #leaveReplica () {
    if (this.#replica) this.#replica.outstanding--
    this.#replica = undefined
  }

  #answer (name: keyof typeof answers, err: Error) {
    this.#request.log.warn({ err, reason: name }, 'no answer of a replica')
    this.#upload?.forget()
    answer(this.#reply.raw, name, this.#reply.server.isClosing())
    // What still comes of the body is read away
    this.#request.raw.resume()
  }
}

/** Whether a connection did not come about, so that nothing was sent. */
function isUnconnected (error: Error) {
  return (error as NodeJS.ErrnoException).syscall === 'connect' || error instanceof errors.ConnectTimeoutError
}
