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

interface Message {
  request: OutgoingRequest
  response: { statusCode: number }
  error: NodeJS.ErrnoException
}

function subscribeToUndici () {
  const on = (event: string, listener: (message: Message) => void) => {
    subscribe(`undici:request:${event}`, (message) => listener(message as Message))
  }
  on('create', ({ request }) => begin(request))
  on('headers', ({ request, response }) => {
    const call = calls.get(request)
    if (call) call.attributes['http.response.status_code'] = response.statusCode
  })
  on('trailers', ({ request }) => end(request))
  // The code of a DOMException is a number that says little
  on('error', ({ request, error: { code, name } }) => end(request, typeof code === 'string' ? code : name))
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
