import type { Item } from './envelope.ts'

/** The items of one operation id, in the order in which they arrived. */
export interface Operation {
  id: string
  items: Item[]
  bytes: number
  /** The number of items beyond those that are kept of one operation. */
  notKept: number
}

/** An operation in one row of a list. */
export interface Summary {
  id: string
  name: string
  role: string
  resultCode: string | undefined
  /** In ms since the epoch. */
  started: number
  durationMs: number
  failed: boolean
  /** Whether it has no request: work that a service does by itself. */
  background: boolean
  /** The services in it, by the time of their first item. */
  roles: string[]
  items: number
}

// A client may send all its requests under one trace id
const MAX_ITEMS = 1_000

/** The last operations, in memory only. Beyond the bounds the oldest are dropped. */
export class Operations {
  #bounds: { operations: number, bytes: number }
  #operations = new Map<string, Operation>()
  #bytes = 0

  constructor (bounds: { operations: number, bytes: number }) {
    this.#bounds = bounds
  }

  /** Returns false for an item that is stored already: senders repeat a batch if they got no response. */
  add (item: Item): boolean {
    const { operationId: id } = item
    const first = () => ({ id, items: [], bytes: 0, notKept: 0 })
    const operation = this.#operations.getOrInsertComputed(id, first)
    const isRepeated = ({ id, kind }: Item) => id !== undefined && id === item.id && kind === item.kind
    if (operation.items.some(isRepeated)) return false
    if (operation.items.length === MAX_ITEMS) {
      operation.notKept++
      return true
    }
    operation.items.push(item)
    operation.bytes += item.bytes
    this.#bytes += item.bytes
    this.#dropOldest()
    return true
  }

  get (id: string) {
    return this.#operations.get(id)
  }

  /** Those whose ids begin with `beginning`, newest first. */
  beginningWith (beginning: string) {
    return [...this.#operations.values()].filter(({ id }) => id.startsWith(beginning)).reverse()
  }

  /** Failed operations first, and newest first among each. */
  summaries (): Summary[] {
    const summaries = [...this.#operations.values()].map(summaryOf)
    return summaries.sort((a, b) => Number(b.failed) - Number(a.failed) || b.started - a.started)
  }

  #dropOldest () {
    for (const [id, { bytes }] of this.#operations) {
      if (this.#operations.size <= this.#bounds.operations && this.#bytes <= this.#bounds.bytes) return
      this.#operations.delete(id)
      this.#bytes -= bytes
    }
  }
}

export function summaryOf ({ id, items }: Operation): Summary {
  const inTime = items.toSorted((a, b) => a.time - b.time)
  const ids = new Set(items.map((item) => item.id))
  const requests = inTime.filter(({ kind }) => kind === 'request')
  const isRoot = ({ parentId }: Item) => parentId === undefined || !ids.has(parentId)
  const root = requests.find(isRoot) ?? requests[0] ?? inTime[0]!
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
