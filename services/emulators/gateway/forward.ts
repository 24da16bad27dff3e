import createError, { type FastifyError } from '@fastify/error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher, Pool } from 'undici'
import { readBody, type Body } from './body.ts'
import { answerError } from './errors.ts'
import { endToEnd } from './headers.ts'
import type { Section } from './policy-engine/elements.ts'
import type { Exchange, Pipeline } from './policy-engine/exchange.ts'
import { isBroken } from './upstream.ts'

const ServiceRefused = createError('SERVICE_REFUSED', 'The service refused the gateway\'s request: %s')
const ClientClosed = createError('CLIENT_CLOSED', 'The client closed its connection')

/** The headers that the gateway sets itself. The policies delete the others that a client must not set. */
const OWN = ['host', 'expect', 'traceparent', 'tracestate', 'via']

/** Up to this many bytes a response is read whole: a stream costs 10 % of the processor time more. */
const MAX_BUFFERED = 2 ** 16

/** A response of a service, or of the gateway in its place. */
export interface Response {
  statusCode: number
  headers: IncomingHttpHeaders
  body: Dispatcher.ResponseData['body'] | Buffer | string
}

export interface Backends {
  /** By URL. */
  services: ReadonlyMap<string, Pool>
  /** Responds to requests that are for no service. */
  local: (request: FastifyRequest, url: string) => Response
  /** The longest that a service may take, whatever the policies say. */
  timeoutMs: number
}

/** Passes `request` through the `policies` of its API to the service, and streams the response back. */
export function forward (policies: Pipeline, to: Backends, request: FastifyRequest, reply: FastifyReply) {
  new Forwarding(to, request, reply).run(policies)
}

class Forwarding implements Exchange {
  readonly request: FastifyRequest
  readonly headers: IncomingHttpHeaders
  readonly variables = new Map<string, unknown>()
  url: string
  backend: string | undefined
  response: Response | undefined
  errorSection: Section | undefined
  isOver = false
  #backends: Backends
  #reply: FastifyReply
  #body: Body | undefined
  #aborting = new AbortController()

  constructor (backends: Backends, request: FastifyRequest, reply: FastifyReply) {
    this.#backends = backends
    this.request = request
    this.#reply = reply
    this.url = request.url
    this.headers = headersOf(request)
  }

  async run (policies: Pipeline) {
    this.#reply.raw.once('close', () => {
      if (this.#reply.raw.writableFinished) return
      this.isOver = true
      this.#aborting.abort(new ClientClosed())
    })
    for (const section of ['inbound', 'backend', 'outbound'] as const) {
      try {
        await policies[section](this)
      } catch (error) {
        await this.#fail(error as Error, section, policies)
      }
      if (this.isOver) return
    }
    this.#commit()
  }

  async forward (timeoutMs: number, buffer: boolean) {
    const service = this.#backends.services.get(this.backend!)
    if (!service) {
      this.response = this.#backends.local(this.request, this.url)
    } else if (!this.response) {
      this.#body = await readBody(this.request.raw, buffer)
      this.response = await this.#send(service, timeoutMs)
    } else if (this.#body?.isWhole !== false) {
      // A body that is not in memory cannot be sent again: the response stays as it is
      await discard(this.response)
      this.response = await this.#send(service, timeoutMs)
    }
  }

  answer (statusCode: number, headers: Record<string, string>, body: string) {
    if (this.isOver) return
    if (statusCode >= 500) {
      this.request.failure ??= new ServiceRefused(String(this.response?.statusCode ?? 'no key'))
    }
    this.#end()
    this.#reply.code(statusCode).headers(headers).send(body)
  }

  #commit () {
    this.isOver = true
    const { statusCode, headers, body } = this.response!
    if (isStream(body)) body.once('error', (error) => { this.request.failure = error })
    this.#reply.code(statusCode).headers(endToEnd(headers)).send(body)
  }

  #send (service: Pool, timeoutMs: number) {
    const timeout = Math.min(timeoutMs, this.#backends.timeoutMs)
    const send = async () => {
      const { statusCode, headers, body } = await service.request({
        method: this.request.method,
        path: this.url,
        headers: this.headers,
        body: this.#body?.content() ?? null,
        headersTimeout: timeout,
        bodyTimeout: timeout,
        signal: this.#aborting.signal
      })
      const isSmall = Number(headers['content-length']) <= MAX_BUFFERED
      return { statusCode, headers, body: isSmall ? Buffer.from(await body.arrayBuffer()) : body }
    }
    // RFC 9110, 9.2.2 allows more, but a DELETE that was carried out would come back as a 404
    const isRepeatable = this.request.method === 'GET' && !this.#body
    return send().catch((error) => {
      if (isRepeatable && isBroken(error)) return send()
      throw error
    })
  }

  /** Runs the on-error section, and responds if none of its statements does. */
  async #fail (error: Error, section: Section, policies: Pipeline) {
    if (this.isOver) return
    this.errorSection = section
    this.request.failure = error
    try {
      await policies['on-error'](this)
    } catch (later) {
      this.request.failure = error = later as Error
    }
    if (this.isOver) return
    this.#end()
    if ('retryAfter' in error) this.request.failure = undefined
    answerError(error as FastifyError, this.request, this.#reply)
  }

  /** Discards the response of the service and the rest of the client's body. */
  #end () {
    this.isOver = true
    if (this.response) discard(this.response)
    this.request.raw.resume()
  }
}

/** The headers of a client's request that are passed on, and the gateway's own. */
function headersOf ({ raw, trace }: FastifyRequest): IncomingHttpHeaders {
  const { via } = raw.headers
  const headers = endToEnd(raw.headers, OWN)
  headers.via = `${via ? `${via}, ` : ''}${raw.httpVersion} gateway`
  headers.traceparent = trace.traceparent
  if (trace.tracestate) headers.tracestate = trace.tracestate
  return headers
}

/** Reads a response to its end, so that its connection can be kept. */
async function discard ({ body }: Response) {
  if (isStream(body)) await body.dump().catch(() => {})
}

function isStream (body: Response['body']): body is Dispatcher.ResponseData['body'] {
  return typeof body !== 'string' && !Buffer.isBuffer(body)
}
