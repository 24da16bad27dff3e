import { commitmentOf } from '#common/transparency/commitment.ts'
import { openOf, rangesOf, sizeAfter, type Batch, type Span } from '#common/transparency/documents.ts'
import { LogDamaged } from './damage.ts'
import { shardOf, type LogStore } from './store.ts'
import type { Unsequenced } from './unsequenced.ts'

/** From this number on, no further block enters a batch. */
const BATCH_RECORDS = 10_000

/** A chain of which a block is missing. */
export interface DamagedChain {
  chain: string
  /** The id of the block after the gap. */
  block: string
}

interface Gathered {
  spans: Span[]
  commitments: Buffer[]
  /** Chains of which the log has records, although they are not in `open`. */
  withoutNext: string[]
  /** What precedes the gap of these chains is in the spans. */
  damaged: DamagedChain[]
  /** Whether nothing was left for another batch. */
  isComplete: boolean
}

/**
 * Gathers what the log does not have of `chains`.
 *
 * @param open see `Batch`, by chain
 * @param complete whether to look for more than what `unsequenced` knows
 */
export async function gather (
  store: LogStore, open: Map<string, number>, chains: string[], unsequenced: Unsequenced, complete: boolean
): Promise<Gathered> {
  const gathered: Gathered = { spans: [], commitments: [], withoutNext: [], damaged: [], isComplete: true }
  for (const chain of chains) {
    const from = open.get(chain) ?? (await store.hasChain(chain) ? undefined : 1)
    if (from === undefined) {
      gathered.withoutNext.push(chain)
      continue
    }
    const max = BATCH_RECORDS - gathered.commitments.length
    const known = unsequenced.commitmentsFrom(chain, from, max)
    let found: Part = { commitments: known, isEnd: false }
    if (known.length < max && (complete || unsequenced.hasFrom(chain, from + known.length))) {
      const read = await readPart(store, chain, from + known.length, max - known.length)
      found = { ...read, commitments: [...known, ...read.commitments] }
    }
    if (found.afterGap) gathered.damaged.push({ chain, block: found.afterGap })
    const { commitments, isEnd } = found
    if (commitments.length > 0 || isEnd) {
      gathered.spans.push({ chain, from, to: from + commitments.length - 1, ...(isEnd && { end: true }) })
    }
    gathered.commitments.push(...commitments)
    if (gathered.commitments.length < BATCH_RECORDS) continue
    gathered.isComplete = false
    break
  }
  return gathered
}

interface Part {
  commitments: Buffer[]
  isEnd: boolean
  /** The id of the block before which one is missing, where the part ends for that reason. */
  afterGap?: string
}

async function readPart (store: LogStore, chain: string, from: number, max: number): Promise<Part> {
  const commitments: Buffer[] = []
  for await (const block of store.blocksFrom(chain, from)) {
    if (block.firstSeq !== from + commitments.length) {
      return { commitments, isEnd: false, afterGap: block._id }
    }
    if (block.end) return { commitments, isEnd: true }
    if (commitments.length >= max) break
    commitments.push(...block.records.map(commitmentOf))
  }
  return { commitments, isEnd: false }
}

/** The commitments of the records of a span. @throws {LogDamaged} they are not there */
export async function commitmentsOf (store: LogStore, unsequenced: Buffer[], { chain, from, to }: Span) {
  const commitments = [...unsequenced]
  const start = from + commitments.length
  if (start > to) return commitments.slice(0, to - from + 1)
  for await (const block of store.blocksFrom(chain, start)) {
    if (block.firstSeq !== from + commitments.length) {
      throw new LogDamaged(`the block before ${block._id} is missing`)
    }
    commitments.push(...block.records.map(commitmentOf))
    if (from + commitments.length > to) break
  }
  if (from + commitments.length !== to + 1) throw new LogDamaged(`chain ${chain} has no record ${to}`)
  return commitments
}

/** The batch that follows `last`. */
export function nextBatch (last: Batch | undefined, spans: Span[]): Batch {
  const _id = sizeAfter(last)
  const open = openOf(last)
  for (const { chain, to, end } of spans) {
    if (end) open.delete(chain)
    else open.set(chain, to + 1)
  }
  return {
    _id,
    _shardKey: shardOf(_id),
    count: spans.reduce((sum, { from, to }) => sum + to - from + 1, 0),
    spans,
    ranges: rangesOf(spans),
    open: [...open].map(([chain, next]) => ({ chain, next })),
    date: new Date()
  }
}
