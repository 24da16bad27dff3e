import type { Item } from './envelope.ts'

/** One operation: all that came under one operation id, in the order in which it came. */
export interface Operation {
  id: string
  items: Item[]
  bytes: number
  /** How many more came than are kept of one operation. */
  notKept: number
}

/** One operation in a line. */
export interface Summary {
  id: string
  name: string
  role: string
  resultCode: string | undefined
  /** In ms since the epoch. */
  started: number
  durationMs: number
  failed: boolean
  /** Whether no request led to it: what a service does by itself. */
  background: boolean
  /** In the order in which they took part. */
  roles: string[]
  items: number
}

interface Bounds {
  operations: number
  bytes: number
}

// A client may choose one trace id for all it does
const OPERATION_ITEMS = 1_000

/**
 * The last operations, in memory alone: telemetry on a disk would outlive the look at it that it is for.
 * Beyond its bounds the oldest go.
 */
export class Operations {
  #bounds: Bounds
  #operations = new Map<string, Operation>()
  #summaries = new WeakMap<Operation, Summary>()
  #bytes = 0

  constructor (bounds: Bounds) {
    this.#bounds = bounds
  }

  get size () { return this.#operations.size }

  get bytes () { return this.#bytes }

  /** Whether the item is new: a sender that heard no answer sends again. */
  add (item: Item): boolean {
    const { operationId: id } = item
    let operation = this.#operations.get(id)
    if (!operation) this.#operations.set(id, operation = { id, items: [], bytes: 0, notKept: 0 })
    if (item.id !== undefined && operation.items.some((known) => known.id === item.id && known.kind === item.kind)) return false
    if (operation.items.length === OPERATION_ITEMS) {
      operation.notKept++
      return true
    }
    operation.items.push(item)
    operation.bytes += item.bytes
    this.#bytes += item.bytes
    this.#summaries.delete(operation)
    this.#keepWithin()
    return true
  }

  get (id: string) {
    return this.#operations.get(id)
  }

  /** The ids that begin with `beginning`, the newest first. */
  beginningWith (beginning: string) {
    return [...this.#operations.keys()].filter((id) => id.startsWith(beginning)).reverse()
  }

  /** A line for each operation: the failed first, and of either the newest first. */
  summaries (): Summary[] {
    const summaries = [...this.#operations.values()].map((operation) => this.summary(operation))
    return summaries.sort((a, b) => Number(b.failed) - Number(a.failed) || b.started - a.started)
  }

  summary (operation: Operation): Summary {
    let summary = this.#summaries.get(operation)
    if (!summary) this.#summaries.set(operation, summary = summarise(operation))
    return summary
  }

  #keepWithin () {
    for (const [id, { bytes }] of this.#operations) {
      if (this.#operations.size <= this.#bounds.operations && this.#bytes <= this.#bounds.bytes) return
      this.#operations.delete(id)
      this.#bytes -= bytes
    }
  }
}

function summarise ({ id, items }: Operation): Summary {
  const inTime = items.toSorted((a, b) => a.time - b.time)
  const ids = new Set(items.flatMap((item) => item.id ?? []))
  const requests = inTime.filter(({ kind }) => kind === 'request')
  const root = requests.find(({ parentId }) => parentId === undefined || !ids.has(parentId)) ?? requests[0] ?? inTime[0]!
  const started = inTime[0]!.time
  return {
    id,
    name: root.name,
    role: root.role,
    resultCode: root.resultCode,
    started,
    durationMs: Math.max(...items.map(({ time, durationMs }) => time - started + durationMs)),
    failed: items.some(({ failed }) => failed),
    background: requests.length === 0,
    roles: [...new Set([root, ...inTime].map(({ role }) => role))],
    items: items.length
  }
}
