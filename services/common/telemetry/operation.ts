import { AsyncLocalStorage } from 'node:async_hooks'
import { newSpanId, newTraceId } from './trace.ts'

/**
 * The attributes that are exported of a request or a call. None could hold health data: `http.route` is a
 * template, never a path, and `server.address` the role or host of the service.
 */
export const ATTRIBUTES = [
  'http.request.method', 'http.route', 'http.response.status_code', 'db.system.name', 'db.namespace',
  'db.collection.name', 'db.operation.name', 'error.type', 'server.address',
  /** How many operations share a call. */
  'batch.size'
] as const
export type Attributes = { [name in typeof ATTRIBUTES[number]]?: string | number }

export interface Recorded {
  /** A request that this process received, a call that it made, or an unexpected error. */
  kind: 'request' | 'dependency' | 'defect'
  /** The method and route of a request, the template of a call, or the class of an error. */
  name: string
  traceId: string
  id: string
  parentId?: string
  /** ms since the epoch */
  start: number
  ms: number
  failed: boolean
  attributes: Attributes
  /** The stack of an error, without its message, which could quote a value. */
  stack?: string
}

/** An item as it is exported; `rate` is the percentage of operations that are. */
export interface TelemetryItem extends Recorded {
  operation: string
  rate: number
}

interface Exporter {
  /** The share of operations that are exported, 0 to 1. */
  sampling: number
  export: (item: TelemetryItem) => void
}

const MAX_PENDING = 256
const NONE: readonly Operation[] = []

let exporter: Exporter | undefined
const current = new AsyncLocalStorage<readonly Operation[]>()

/** Exports the operations that begin from now on to `to`; undefined disables telemetry. */
export function setExporter (to: Exporter | undefined) {
  exporter = to
}

/** Whether operations are exported. */
export function telemetryEnabled () {
  return exporter !== undefined
}

/** The operations of the current async context: one, or those that share a write to the database. */
export function currentOperations () {
  return current.getStore() ?? NONE
}

/** Runs `work` in the async context of `operations`. */
export function runInOperations<T> (operations: readonly Operation[], work: () => T): T {
  return exporter || current.getStore() ? current.run(operations, work) : work()
}

/**
 * Records a call that took from `start` until now as a dependency of the current operations, or as an
 * operation of its own where there are none.
 */
export function recordDependency (name: string, start: number, failed: boolean, attributes: Attributes) {
  if (!exporter) return
  const operations = currentOperations().filter(({ ended }) => !ended)
  for (const operation of operations) operation.recordDependency(name, start, failed, attributes)
  if (operations.length > 0) return
  const recorded = { kind: 'dependency' as const, name, start, ms: now() - start, failed, attributes }
  exporter.export({ ...recorded, traceId: newTraceId(), id: newSpanId(), operation: name, rate: 100 })
}

/** Begins the operation of a request; undefined where telemetry is disabled. */
export function beginOperation (method: string, route: string, traceId: string, parentId?: string) {
  return exporter && new Operation(exporter, method, route, traceId, parentId)
}

/** One request to this process, with the calls that it makes. */
export class Operation {
  readonly traceId: string
  readonly id = newSpanId()
  readonly route: string
  /** Whether the operation is exported even if it succeeds; all processes decide the same for one trace. */
  readonly sampled: boolean
  /** Whether the response was sent. */
  ended = false
  #exporter: Exporter
  #request: Recorded
  #pending: Recorded[] = []
  /** The percentage of operations that are exported as this one is; 0 where it is not. */
  #rate = 0

  constructor (exporter: Exporter, method: string, route: string, traceId: string, parentId?: string) {
    this.#exporter = exporter
    this.route = route
    this.traceId = traceId
    this.sampled = isSampled(traceId, exporter.sampling)
    const attributes = { 'http.request.method': method, 'http.route': route }
    const ids = { traceId, id: this.id, parentId }
    const name = `${method} ${route}`
    this.#request = { kind: 'request', name, ...ids, start: now(), ms: 0, failed: true, attributes }
  }

  /** Records a call that took from `start` (of `now()`) until now; `id` is the parent id sent with it. */
  recordDependency (name: string, start: number, failed: boolean, attributes: Attributes, id = newSpanId()) {
    this.#add({ kind: 'dependency', name, id, start, ms: now() - start, failed, attributes })
  }

  /** Records an unexpected error by its class and stack frames. */
  recordException (type: string, stack: string | undefined) {
    const id = newSpanId()
    this.#add({ kind: 'defect', name: type, id, start: now(), ms: 0, failed: true, attributes: {}, stack })
  }

  /** Ends the operation with the status of the response, or undefined where none was sent, and exports it. */
  end (status: number | undefined) {
    if (this.ended) return
    this.ended = true
    if (isAlwaysExported(status)) this.#rate = 100
    else if (this.sampled) this.#rate = this.#exporter.sampling * 100
    const request = this.#request
    request.ms = now() - request.start
    request.failed = status === undefined || status >= 400
    request.attributes['http.response.status_code'] = status
    for (const recorded of [...this.#pending, request]) this.#export(recorded)
    this.#pending = []
  }

  #add (part: Omit<Recorded, 'traceId' | 'parentId'>) {
    const recorded = { ...part, traceId: this.traceId, parentId: this.id }
    if (this.ended) this.#export(recorded)
    else if (this.#pending.length < MAX_PENDING) this.#pending.push(recorded)
  }

  #export (recorded: Recorded) {
    const { name: operation } = this.#request
    if (this.#rate > 0) this.#exporter.export({ ...recorded, operation, rate: this.#rate })
  }
}

/** ms since the epoch, as precise as `performance.now` and as monotonic. */
export function now () {
  return performance.timeOrigin + performance.now()
}

// Failures and refusals, and requests without a response, are exported whatever the sampling ratio
function isAlwaysExported (status: number | undefined) {
  return status === undefined || status >= 500 || status === 401 || status === 403 || status === 429
}

/**
 * Whether a trace is in the sampled `share`, the same in every process.
 * Source: the hash of Application Insights' SDKs (getSamplingHashCode), so that those of clients agree.
 */
export function isSampled (traceId: string, share: number) {
  if (share >= 1) return true
  let hash = 5381
  for (let i = 0; i < traceId.length; i++) hash = ((hash << 5) + hash + traceId.charCodeAt(i)) | 0
  const MAX = 2_147_483_647
  return Math.min(Math.abs(hash), MAX) / MAX < share
}
