import createError, { type FastifyError } from '@fastify/error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dispatcher, Pool } from 'undici'
import { readBody, type Body } from './body.ts'
import { answerError } from './errors.ts'
import { deleteFields, requestFields, responseHeaders, setField } from './headers.ts'
import { withoutParameter } from './keys.ts'
import type { Section } from './policies/documents.ts'
import type { Exchange, Pipeline, Step } from './policies/exchange.ts'
import { isBroken } from './upstream.ts'

const ServiceRefused = createError('SERVICE_REFUSED', 'The service refused the gateway\'s request: %s')
const ClientClosed = createError('CLIENT_CLOSED', 'The client closed its connection')

/** What answers the requests of an API: services by their URLs, or else a function of this gateway. */
export interface Backends {
  services: ReadonlyMap<string, Pool>
  local: (request: FastifyRequest, url: string) => unknown
  /** The longest that a service may take, whatever the policies say. */
  timeoutMs: number
}

/** Passes `request` through the `policies` of its API to the service, and streams the response back. */
export function forward (policies: Pipeline, to: Backends, request: FastifyRequest, reply: FastifyReply) {
  new Forwarding(policies, to, request, reply).begin()
}

class Forwarding implements Exchange {
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
  #fields: string[]
  #service: Pool | undefined
  #body: Body | undefined
  #response: Dispatcher.ResponseData | undefined
  #aborting = new AbortController()
  /** Whether the client has its response, or is gone. */
  #settled = false

  constructor (pipeline: Pipeline, backends: Backends, request: FastifyRequest, reply: FastifyReply) {
    this.#pipeline = pipeline
    this.#backends = backends
    this.request = request
    this.#reply = reply
    this.#url = request.raw.url!
    this.#fields = fieldsOf(request)
    this.variables = new Array(pipeline.variables)
    this.retries = new Array(pipeline.retries)
  }

  get requestId () { return this.request.id }

  get subscriptionId () { return this.request.subscription!.id }

  get clientAddress () { return this.request.ip.replace(/^::ffff:(?=\d+\.)/, '') }

  get requestMethod () { return this.request.method }

  get requestPath () { return this.request.raw.url!.split('?', 1)[0]! }

  responseField (name: string) {
    const value = this.#response?.headers[name]
    return Array.isArray(value) ? value.join(',') : value
  }

  begin () {
    this.#reply.raw.once('close', () => {
      if (this.#reply.raw.writableFinished) return
      this.#settled = true
      this.#aborting.abort(new ClientClosed())
    })
    this.#run(this.#pipeline.begin)
  }

  deleteFields (names: ReadonlySet<string>) {
    deleteFields(this.#fields, names)
  }

  setField (name: string, value: string) {
    setField(this.#fields, name, value)
  }

  deleteParameter (name: string) {
    this.#url = withoutParameter(this.#url, name)
  }

  setBackend (url: string) {
    this.#service = this.#backends.services.get(url)
  }

  forward (timeoutMs: number, buffer: boolean, next: Step) {
    if (this.#service) return this.wait(this.#send(this.#service, timeoutMs, buffer), () => next(this))
    this.responseStatus = 200
    next(this)
  }

  answer (statusCode: number, fields: Array<[string, string]>, body: string) {
    if (this.#settled) return
    if (statusCode >= 500) {
      this.request.failure ??= new ServiceRefused(String(this.responseStatus ?? 'no key'))
    }
    this.#settle()
    for (const [name, value] of fields) this.#reply.header(name, value)
    this.#reply.code(statusCode).send(body)
  }

  commit () {
    if (this.#settled) return
    this.#settled = true
    if (!this.#response) {
      this.#reply.send(this.#backends.local(this.request, this.#url))
      return
    }
    const { statusCode, headers, body } = this.#response
    body.once('error', (error) => { this.request.failure = error })
    this.#reply.code(statusCode).headers(responseHeaders(headers)).send(body)
  }

  wait<T> (work: Promise<T>, next: (result: T) => void) {
    work.then((result) => this.#run(() => next(result)), (error) => this.#fail(error))
  }

  unanswered (err: unknown) {
    this.request.log.warn({ err, requestId: this.requestId }, 'a send-request of the policies failed')
  }

  /** Sends the request, or sends it once more; `#response` is then the one to decide on. */
  async #send (service: Pool, timeoutMs: number, buffer: boolean) {
    if (!this.#response) {
      this.#body = await readBody(this.request.raw, buffer)
    } else {
      // A body that is not in memory cannot be sent again: the response stays as it is
      if (this.#body?.isWhole === false) return
      await discard(this.#response)
    }
    const timeout = Math.min(timeoutMs, this.#backends.timeoutMs)
    const send = () => service.request({
      method: this.request.method as Dispatcher.HttpMethod,
      path: this.#url,
      headers: this.#fields,
      body: this.#body?.content() ?? null,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      signal: this.#aborting.signal
    })
    // RFC 9110, 9.2.2 allows more, but a DELETE that was carried out would come back as a 404
    const isRepeatable = this.request.method === 'GET' && !this.#body
    this.#response = await send().catch((error) => {
      if (isRepeatable && isBroken(error)) return send()
      throw error
    })
    this.responseStatus = this.#response.statusCode
  }

  #run (step: Step) {
    try {
      step(this)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  /** Runs the on-error section, and answers where no statement of it does. */
  #fail (error: Error) {
    if (this.#settled) return
    this.request.failure = error
    if (this.section !== 'on-error') {
      this.errorSection = this.section
      this.#run(this.#pipeline.onError)
    }
    if (this.#settled) return
    this.#settle()
    if ('retryAfter' in error) this.request.failure = undefined
    answerError(error as FastifyError, this.request, this.#reply)
  }

  /** Leaves the service's response, and what may still come of the client's body. */
  #settle () {
    this.#settled = true
    if (this.#response) discard(this.#response)
    this.request.raw.resume()
  }
}

/** The fields of a client's request that are passed on, and the gateway's own. */
function fieldsOf ({ raw, trace }: FastifyRequest) {
  const { via } = raw.headers
  const fields = requestFields(raw.rawHeaders)
  fields.push('via', `${via ? `${via}, ` : ''}${raw.httpVersion} gateway`, 'traceparent', trace.traceparent)
  if (trace.tracestate) fields.push('tracestate', trace.tracestate)
  return fields
}

/** Reads a response to its end, so that its connection can be kept. */
function discard ({ body }: Dispatcher.ResponseData) {
  return body.dump().catch(() => {})
}
