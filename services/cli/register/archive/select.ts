import { rangeOf, type Batch, type Block } from '#common/transparency/documents.ts'
import { checkpointNote } from '../../../audit/log/checkpoint-store.ts'
import type { Register } from '../verify/verify.ts'
import type { Holds } from './holds.ts'

const FILE_RECORDS = 50_000
const CACHED_BATCHES = 100

/** A block that can be archived, and the index of its first entry. */
export interface Place {
  _id: string
  index: number
  count: number
}

/** The newest checkpoint that a witness has signed, as a signed note. */
export async function newestWitnessed ({ checkpoints }: Register) {
  const found = await checkpoints.findOne({ witnessedDate: { $exists: true } }, { sort: { _id: -1 } })
  return found && { size: found._id, root: Buffer.from(found.root.value()), note: checkpointNote(found) }
}

/**
 * Blocks whose records are all older than `before`, witnessed (below `size` in the log) and not held: enough
 * for one file, in the order of the log.
 */
export async function selectBlocks (register: Register, before: Date, size: number, holds: Holds) {
  const indexes = new Indexes(register)
  const places: Place[] = []
  let count = 0
  const old = register.blocks.find({ to: { $lt: before } }).sort({ to: 1, _id: 1 })
  for await (const block of old) {
    if (block.records.length === 0 || holds.concern(block)) continue
    const index = await indexes.find(block)
    if (index === undefined || index + block.records.length > size) continue
    places.push({ _id: block._id, index, count: block.records.length })
    count += block.records.length
    if (count >= FILE_RECORDS) break
  }
  return places.sort((a, b) => a.index - b.index)
}

/** Finds the entries of blocks in the batches. */
class Indexes {
  #batches: Register['batches']
  #recent: Batch[] = []

  constructor ({ batches }: Register) {
    this.#batches = batches
  }

  /** The index of a block's first entry; undefined if its entries are not there or not together. */
  async find ({ chain, firstSeq, records }: Block) {
    const last = firstSeq + records.length - 1
    for (const batch of this.#recent) {
      const index = indexIn(batch, chain, firstSeq, last)
      if (index !== undefined) return index
    }
    for await (const batch of this.#batches.find({ ranges: rangeOf(chain, firstSeq) })) {
      const index = indexIn(batch, chain, firstSeq, last)
      if (index === undefined) continue
      this.#recent = [batch, ...this.#recent].slice(0, CACHED_BATCHES)
      return index
    }
    return undefined
  }
}

function indexIn ({ _id, spans }: Batch, chain: string, first: number, last: number) {
  let index = _id
  for (const span of spans) {
    if (span.chain === chain && span.from <= first && last <= span.to) return index + first - span.from
    index += span.to - span.from + 1
  }
  return undefined
}
