import { subscribe } from 'node:diagnostics_channel'
import { newSpanId } from './trace.ts'
import { currentOperations, now, type Attributes, type Operation } from './operation.ts'

/** How the calls to a service are named in telemetry. */
export interface CallNames {
  /** The role of the service. */
  target: string
  /** The template of `path`, which itself may contain an id. */
  route: (path: string, operation: Operation) => string
}

/** An undici request as its diagnostics channels publish it; `headers` are name, value, name, value. */
interface OutgoingRequest {
  origin: string
  method: string
  path: string
  headers: string[]
  addHeader (name: string, value: string): unknown
}

interface Call {
  attributes: Attributes
  end: () => void
}

const services = new Map<string, CallNames>()
const calls = new WeakMap<OutgoingRequest, Call>()

/**
 * Records every undici request to `origin` as a dependency of the operation that makes it, and sets its
 * `traceparent` to that operation's trace and the id of the dependency.
 */
export function traceCalls (origin: string, names: CallNames) {
  if (services.size === 0) subscribeToUndici()
  services.set(origin, names)
}

function subscribeToUndici () {
  subscribe('undici:request:create', (message) => begin((message as { request: OutgoingRequest }).request))
  subscribe('undici:request:headers', (message) => {
    const { request, response } = message as { request: OutgoingRequest, response: { statusCode: number } }
    const call = calls.get(request)
    if (call) call.attributes['http.response.status_code'] = response.statusCode
  })
  subscribe('undici:request:trailers', (message) => end((message as { request: OutgoingRequest }).request))
  subscribe('undici:request:error', (message) => {
    const { request, error } = message as { request: OutgoingRequest, error: NodeJS.ErrnoException }
    // The code of a DOMException is a number that says little
    end(request, typeof error.code === 'string' ? error.code : error.name)
  })
}

function begin (request: OutgoingRequest) {
  const { origin, method, path } = request
  const names = services.get(origin)
  const [operation] = currentOperations()
  if (!names || !operation) return
  const id = newSpanId()
  const start = now()
  const name = `${method} ${names.route(path, operation)}`
  const attributes: Attributes = { 'http.request.method': method, 'server.address': names.target }
  setTraceparent(request, `00-${operation.traceId}-${id}-${operation.sampled ? '01' : '00'}`)
  const end = () => {
    const failed = 'error.type' in attributes || Number(attributes['http.response.status_code']) >= 400
    operation.recordDependency(name, start, failed, attributes, id)
  }
  calls.set(request, { attributes, end })
}

function end (request: OutgoingRequest, errorType?: string) {
  const call = calls.get(request)
  // undici may publish more than one error of a request
  calls.delete(request)
  if (call && errorType) call.attributes['error.type'] = errorType
  call?.end()
}

function setTraceparent (request: OutgoingRequest, traceparent: string) {
  const { headers } = request
  const at = headers.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === 'traceparent')
  if (at === -1) request.addHeader('traceparent', traceparent)
  else headers[at + 1] = traceparent
}
