import { AsyncLocalStorage } from 'node:async_hooks'
import { newSpanId, newTraceId } from './trace.ts'

/** What is told of a request or a call: of health data nothing, since there is no place for it. */
export interface Attributes {
  'http.request.method'?: string
  /** A template, never the path itself. */
  'http.route'?: string
  'http.response.status_code'?: number
  'db.system.name'?: string
  'db.namespace'?: string
  'db.collection.name'?: string
  'db.operation.name'?: string
  'error.type'?: string
  /** The role or host that was called. */
  'server.address'?: string
  /** How many operations share this call. */
  'batch.size'?: number
}

/** A request that was taken, or a call that was made for one. */
export interface Recorded {
  kind: 'request' | 'dependency'
  /** Its route, or what was called, as a template. */
  name: string
  traceId: string
  id: string
  parentId?: string
  /** ms since the epoch */
  start: number
  ms: number
  failed: boolean
  attributes: Attributes
}

export interface RecordedException {
  kind: 'defect'
  traceId: string
  parentId: string
  start: number
  type: string
  /** Frames alone: a message could quote a value. */
  stack?: string
}

/** What an operation left, of which one in `rate` percent is told. */
export type TelemetryItem = (Recorded | RecordedException) & { operation: string, rate: number }

interface Exporter {
  /** The share of operations that are told, of 1. */
  sampling: number
  export: (item: TelemetryItem) => void
}

const MAX_HELD = 256
const NONE: readonly Operation[] = []

let telling: Exporter | undefined
const current = new AsyncLocalStorage<readonly Operation[]>()

/** Has all operations from now on told to `to`; none with undefined. */
export function setExporter (to: Exporter | undefined) {
  telling = to
}

/** Whether operations are told. Where they are not, nothing of this module costs anything. */
export function telemetryEnabled () {
  return telling !== undefined
}

/** The operations that are served here and now: one, or those that share a write to the database. */
export function currentOperations () {
  return current.getStore() ?? NONE
}

/** Runs `work` as a part of `operations` and of no others. */
export function runInOperations<T> (operations: readonly Operation[], work: () => T): T {
  return telling || current.getStore() ? current.run(operations, work) : work()
}

/** Notes a call that took from `start` until now: in the operations that are served, or where it is for none in one of its own. */
export function recordDependency (name: string, start: number, failed: boolean, attributes: Attributes) {
  if (!telling) return
  const served = currentOperations().filter(({ ended: isOver }) => !isOver)
  for (const operation of served) operation.recordDependency(name, start, failed, attributes)
  if (served.length > 0) return
  telling.export({ kind: 'dependency', name, traceId: newTraceId(), id: newSpanId(), start, ms: now() - start, failed, attributes, operation: name, rate: 100 })
}

/** Begins the operation that a request belongs to, where operations are told. */
export function beginOperation (method: string, route: string, traceId: string, parentId: string | undefined) {
  return telling && new Operation(telling, method, route, traceId, parentId)
}

/** One request as this process serves it, with the calls that it makes. */
export class Operation {
  readonly traceId: string
  readonly id = newSpanId()
  /** `METHOD route` */
  readonly name: string
  readonly route: string
  /** Whether the other processes tell theirs of this operation, as far as nothing fails. */
  readonly sampled: boolean
  /** It alone, as what is served. */
  readonly asList: readonly Operation[]
  #telling: Exporter
  #method: string
  #parentId: string | undefined
  #start = now()
  #held: Array<Recorded | RecordedException> = []
  #ended = false
  /** The percentage that it stands for; 0 is not told. */
  #rate = 0

  constructor (telling: Exporter, method: string, route: string, traceId: string, parentId: string | undefined) {
    this.#telling = telling
    this.#method = method
    this.route = route
    this.name = `${method} ${route}`
    this.traceId = traceId
    this.#parentId = parentId
    this.sampled = isSampled(traceId, telling.sampling)
    this.asList = [this]
  }

  /** Whether it was answered. */
  get ended () {
    return this.#ended
  }

  /** Notes a call that took from `start` (of `now()`) until now, under the `id` that was told to whom was called. */
  recordDependency (name: string, start: number, failed: boolean, attributes: Attributes, id = newSpanId()) {
    this.#hold({ kind: 'dependency', name, traceId: this.traceId, id, parentId: this.id, start, ms: now() - start, failed, attributes })
  }

  /** Notes a defect of the service by its class and stack frames. */
  recordException (type: string, stack: string | undefined) {
    this.#hold({ kind: 'defect', traceId: this.traceId, parentId: this.id, start: now(), type, stack })
  }

  /** Ends it with the status that was answered, if any was. */
  end (status: number | undefined) {
    if (this.#ended) return
    const kept = isKept(status)
    if (kept) this.#rate = 100
    else if (this.sampled) this.#rate = this.#telling.sampling * 100
    this.#hold({
      kind: 'request',
      name: this.name,
      traceId: this.traceId,
      id: this.id,
      parentId: this.#parentId,
      start: this.#start,
      ms: now() - this.#start,
      failed: status === undefined || status >= 400,
      attributes: { 'http.request.method': this.#method, 'http.route': this.route, 'http.response.status_code': status }
    })
    this.#ended = true
    for (const recorded of this.#held) this.#tell(recorded)
    this.#held = []
  }

  #hold (recorded: Recorded | RecordedException) {
    if (this.#ended) this.#tell(recorded)
    else if (this.#held.length < MAX_HELD || recorded.kind === 'request') this.#held.push(recorded)
  }

  #tell (recorded: Recorded | RecordedException) {
    if (this.#rate > 0) this.#telling.export({ ...recorded, operation: this.name, rate: this.#rate })
  }
}

/** ms since the epoch, as precise and as even as `performance.now`. */
export function now () {
  return performance.timeOrigin + performance.now()
}

// Failures and refusals are told whatever the sampling says, and so is what no answer came of
function isKept (status: number | undefined) {
  return status === undefined || status >= 500 || status === 401 || status === 403 || status === 429
}

/**
 * The same answer in every process, for the same trace.
 * Source: the hash of Application Insights' SDKs (getSamplingHashCode), so that those of clients agree too.
 */
export function isSampled (traceId: string, share: number) {
  if (share >= 1) return true
  let hash = 5381
  for (let i = 0; i < traceId.length; i++) hash = ((hash << 5) + hash + traceId.charCodeAt(i)) | 0
  const MAX = 2_147_483_647
  return Math.min(Math.abs(hash), MAX) / MAX < share
}
