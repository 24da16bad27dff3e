import type { IncomingHttpHeaders } from 'node:http'
import createError, { type FastifyError } from '@fastify/error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dispatcher } from 'undici'
import { runInOperations, currentOperations } from '#common/telemetry/operation.ts'
import { isBroken, type Service } from '#common/http/upstream.ts'
import { answerError } from './errors.ts'
import { deleteFields, requestFields, responseFields, setField } from './headers.ts'
import { withoutParameter } from './keys.ts'
import type { Section } from './policies/documents.ts'
import type { Exchange, Pipeline, Step } from './policies/exchange.ts'
import { Upload } from './upload.ts'

const ServiceRefused = createError('SERVICE_REFUSED', 'The service does not take the gateway\'s call: %s')
const ClientGone = createError('CLIENT_GONE', 'The client went away')

/** What answers the calls of an API: services at their URLs, or else a function of this gateway. */
export interface Backends {
  services: ReadonlyMap<string, Service>
  local?: (request: FastifyRequest, url: string) => unknown
  /** How long a service may take at the most, whatever the policies say. */
  timeoutMs: number
}

/** Sends `request` through the policies of its API, on to the service, and the answer back, both as they come. */
export function forward (pipeline: Pipeline, backends: Backends, request: FastifyRequest, reply: FastifyReply) {
  new Forwarding(pipeline, backends, request, reply).begin()
}

/** A service's answer: not there yet; there, but not decided on; passed on; not wanted. */
type AnswerState = 'none' | 'undecided' | 'passed on' | 'unwanted'

class Forwarding implements Exchange, Dispatcher.DispatchHandler {
  readonly request: FastifyRequest
  section: Section = 'inbound'
  readonly variables: unknown[]
  readonly retries: number[]
  responseStatus: number | undefined
  errorSection: string | undefined
  #pipeline: Pipeline
  #backends: Backends
  #reply: FastifyReply
  #url: string
  #fields: string[] | undefined
  #service: Service | undefined
  #upload: Upload | undefined
  #timeoutMs = 0
  /** Of an answer of known length, the bytes that have not come yet. */
  #left = NaN
  #next!: Step
  #sent = false
  #repeatable = false
  #controller?: Dispatcher.DispatchController
  #answer: AnswerState = 'none'
  #responseHeaders: IncomingHttpHeaders = {}
  /** Whether the service's answer, or its attempt, is over. */
  #over = true
  #broken: Error | undefined
  #settled = false

  constructor (pipeline: Pipeline, backends: Backends, request: FastifyRequest, reply: FastifyReply) {
    this.#pipeline = pipeline
    this.#backends = backends
    this.request = request
    this.#reply = reply
    this.#url = request.raw.url!
    this.variables = new Array(pipeline.variables)
    this.retries = new Array(pipeline.retries)
  }

  get requestId () { return this.request.id }

  get subscriptionId () { return this.request.subscription!.id }

  get clientAddress () { return this.request.ip.replace(/^::ffff:(?=\d+\.)/, '') }

  get requestMethod () { return this.request.method }

  get requestPath () { return this.request.raw.url!.split('?', 1)[0]! }

  responseField (name: string) {
    const value = this.#responseHeaders[name]
    return Array.isArray(value) ? value.join(',') : value
  }

  begin () {
    this.#reply.raw.once('close', () => {
      if (this.#reply.raw.writableFinished) return
      this.#settled = true
      this.#controller?.abort(new ClientGone())
    })
    this.#run(this.#pipeline.begin)
  }

  deleteFields (names: ReadonlySet<string>) {
    if (this.#fields) deleteFields(this.#fields, names)
    else this.#fields = this.#ownFields(names)
  }

  setField (name: string, value: string) {
    this.#fields ??= this.#ownFields()
    setField(this.#fields, name, value)
  }

  deleteParameter (name: string) {
    this.#url = withoutParameter(this.#url, name)
  }

  setBackend (url: string) {
    this.#service = this.#backends.services.get(url)
  }

  forward (timeoutMs: number, buffer: boolean, next: Step) {
    this.#next = next
    if (this.#settled) return
    if (!this.#service) {
      this.responseStatus = 200
      return next(this)
    }
    if (this.#sent) return this.#forwardAgain()
    this.#sent = true
    this.#timeoutMs = Math.min(timeoutMs, this.#backends.timeoutMs)
    this.#fields ??= this.#ownFields()
    this.#upload = Upload.of(this.request.raw, buffer)
    // RFC 9110, 9.2.2 allows more, but a DELETE that was carried out would come back as a 404
    this.#repeatable = this.request.method === 'GET' && !this.#upload
    if (!buffer || !this.#upload?.isSmall) return this.#dispatch()
    // The body comes from the client's connection, which knows nothing of the operation
    const operations = currentOperations()
    this.#upload.whole(() => { if (!this.#settled) runInOperations(operations, () => this.#dispatch()) })
  }

  answer (statusCode: number, fields: Array<[string, string]>, body: string) {
    if (this.#settled) return
    if (statusCode >= 500) this.request.failure ??= new ServiceRefused(String(this.responseStatus ?? 'no key'))
    this.#settle()
    for (const [name, value] of fields) this.#reply.header(name, value)
    this.#reply.code(statusCode).send(body)
  }

  commit () {
    if (this.#settled) return
    if (!this.#service) {
      this.#settled = true
      this.#reply.send(this.#backends.local!(this.request, this.#url))
      return
    }
    this.#upload?.forget()
    const fields = (this.#controller!.rawHeaders as Array<string | Buffer>).map((field) => field.toString('latin1'))
    const answer = responseFields(fields)
    if (this.#reply.server.isClosing()) answer.push('connection', 'close')
    this.#reply.raw.writeHead(this.responseStatus!, answer)
    this.#reply.hijack()
    this.#answer = 'passed on'
    if (!this.#over) this.#resume()
    else if (this.#broken) this.#reply.raw.destroy()
    else this.#reply.raw.end()
  }

  wait<T> (work: Promise<T>, next: (result: T) => void) {
    work.then((result) => this.#run(() => next(result)), (error) => this.#fail(error))
  }

  unanswered (err: unknown) {
    this.request.log.warn({ err, requestId: this.requestId }, 'a request of the policies was not answered')
  }

  onRequestStart (controller: Dispatcher.DispatchController) {
    this.#controller = controller
    if (this.#settled) controller.abort(new ClientGone())
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders) {
    if (statusCode < 200 || this.#settled) return
    this.responseStatus = statusCode
    this.#left = Number(headers['content-length'])
    this.#responseHeaders = headers
    this.#answer = 'undecided'
    this.#run(this.#next)
    // A statement waits before it is known whose the answer is
    if (this.#answer === 'undecided' && !this.#settled) controller.pause()
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer) {
    if (this.#settled || this.#answer !== 'passed on') return
    const { raw } = this.#reply
    this.#left -= chunk.length
    // The last part of an answer of known length ends it, which spares it a write
    if (this.#left === 0) return raw.end(chunk)
    if (raw.write(chunk)) return
    controller.pause()
    raw.once('drain', () => controller.resume())
  }

  onResponseEnd () {
    this.#over = true
    if (this.#settled) return
    if (this.#answer === 'passed on' && !this.#reply.raw.writableEnded) this.#reply.raw.end()
    else if (this.#answer === 'unwanted') this.#dispatch()
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error) {
    this.#over = true
    if (this.#settled) return
    switch (this.#answer) {
      case 'none':
        if (!this.#repeatable || !isBroken(error)) return this.#fail(error)
        this.#repeatable = false
        return this.#dispatch()
      case 'undecided':
        this.#broken = error
        return
      case 'unwanted':
        return this.#dispatch()
      case 'passed on':
        this.request.failure = error
        this.#reply.raw.destroy()
    }
  }

  /** The fields that a client's request goes on with, and the gateway's own. */
  #ownFields (deleted?: ReadonlySet<string>) {
    const { raw, trace } = this.request
    const { via } = raw.headers
    const fields = requestFields(raw.rawHeaders, deleted)
    fields.push('via', `${via ? `${via}, ` : ''}${raw.httpVersion} gateway`, 'traceparent', trace.traceparent)
    if (trace.tracestate) fields.push('tracestate', trace.tracestate)
    return fields
  }

  #forwardAgain () {
    // A body that was not kept, or has outgrown what is kept, cannot be sent again: the answer that there is stays
    if (this.#upload?.isWhole === false) return this.#next(this)
    this.#answer = 'unwanted'
    // The refused attempt has to be over: each sending of a body has it alone
    if (this.#over) this.#dispatch()
    else this.#resume()
  }

  #dispatch () {
    this.#answer = 'none'
    this.#over = false
    this.#broken = undefined
    this.#service!.dispatch({
      method: this.request.method,
      path: this.#url,
      headers: this.#fields!,
      body: this.#upload?.body() ?? null,
      headersTimeout: this.#timeoutMs,
      bodyTimeout: this.#timeoutMs
    }, this)
  }

  #run (step: Step) {
    try {
      step(this)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  /** Leaves the section for on-error, and answers by itself where that does not. */
  #fail (error: Error) {
    if (this.#settled) return
    this.request.failure = error
    if (this.section === 'on-error') return this.#answerItself(error)
    this.errorSection = this.section
    this.#run(this.#pipeline.onError)
    // No statement of on-error has answered
    if (!this.#settled) this.#answerItself(error)
  }

  #answerItself (error: Error) {
    this.#settle()
    if ('retryAfter' in error) this.request.failure = undefined
    answerError(error as FastifyError, this.request, this.#reply)
  }

  #settle () {
    this.#settled = true
    this.#upload?.forget()
    if (this.#answer === 'undecided' && !this.#over) this.#resume()
  }

  #resume () {
    if (this.#controller?.paused) this.#controller.resume()
  }
}
