import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { newSpanId } from './trace.ts'
import type { Service } from '../http/upstream.ts'
import { now, runInOperations, currentOperations, type Attributes, type Operation } from './operation.ts'

/** How calls to a service are told. */
export interface CallNames {
  /** The role that is called. */
  target: string
  /** The template of a path; a path itself may hold an id. */
  route: (path: string, operation: Operation) => string
}

/** Notes every call to a service in the operation it is made for, and passes its trace on. */
export class NotedCalls implements Service {
  #inner: Service
  #names: CallNames

  constructor (inner: Service, names: CallNames) {
    this.#inner = inner
    this.#names = names
  }

  dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    const [operation] = currentOperations()
    if (!operation) return this.#inner.dispatch(options, handler)
    const id = newSpanId()
    const headers = withTrace(options.headers, `00-${operation.traceId}-${id}-${operation.sampled ? '01' : '00'}`)
    const name = `${options.method} ${this.#names.route(options.path, operation)}`
    return this.#inner.dispatch({ ...options, headers }, new NotedCall(handler, operation, name, id, {
      'http.request.method': options.method,
      'server.address': this.#names.target
    }))
  }

  close () {
    return this.#inner.close()
  }

  destroy () {
    return this.#inner.destroy()
  }
}

class NotedCall implements Dispatcher.DispatchHandler {
  #handler: Dispatcher.DispatchHandler
  #operation: Operation
  #name: string
  #id: string
  #attributes: Attributes
  #start = now()

  constructor (handler: Dispatcher.DispatchHandler, operation: Operation, name: string, id: string, attributes: Attributes) {
    this.#handler = handler
    this.#operation = operation
    this.#name = name
    this.#id = id
    this.#attributes = attributes
  }

  onRequestStart (controller: Dispatcher.DispatchController, context: unknown) {
    this.#handler.onRequestStart?.(controller, context)
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, statusMessage?: string) {
    this.#attributes['http.response.status_code'] = statusCode
    this.#handler.onResponseStart?.(controller, statusCode, headers, statusMessage)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer) {
    this.#handler.onResponseData?.(controller, chunk)
  }

  // What a handler does then may be another call, and a connection knows nothing of the operation
  onResponseEnd (controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders) {
    this.#note(this.#attributes['http.response.status_code']! >= 400)
    runInOperations(this.#operation.asList, () => this.#handler.onResponseEnd?.(controller, trailers))
  }

  onResponseError (controller: Dispatcher.DispatchController, error: Error) {
    this.#attributes['error.type'] = (error as NodeJS.ErrnoException).code ?? error.name
    this.#note(true)
    runInOperations(this.#operation.asList, () => this.#handler.onResponseError?.(controller, error))
  }

  #note (failed: boolean) {
    this.#operation.recordDependency(this.#name, this.#start, failed, this.#attributes, this.#id)
  }
}

/** `headers`, as an object or as name, value, name, value, with another traceparent. */
function withTrace (headers: Dispatcher.DispatchOptions['headers'], traceparent: string): Dispatcher.DispatchOptions['headers'] {
  if (!Array.isArray(headers)) return { ...headers as Record<string, string>, traceparent }
  const fields = [...headers] as string[]
  const at = fields.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === 'traceparent')
  if (at === -1) fields.push('traceparent', traceparent)
  else fields[at + 1] = traceparent
  return fields
}
