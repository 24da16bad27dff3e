import type { Block } from '#common/transparency/documents.ts'

/** How many commitments are kept. The others are made again from what the database has. */
const MAX_COMMITMENTS = 100_000
const MAX_BLOCKS = 20_000

interface UnsequencedBlock {
  firstSeq: number
  next: number
  /** Undefined where the limit was reached. */
  commitments?: Buffer[]
  /** In ms, of `performance.now`. */
  stored: number
}

/** The blocks that this replica stored and the log does not have yet. */
export class Unsequenced {
  #chains = new Map<string, UnsequencedBlock[]>()
  #commitments = 0

  get chains () { return [...this.#chains.keys()] }

  /** When the oldest block was stored, in ms of `performance.now`; undefined if the log has them all. */
  get oldest () {
    const stored = [...this.#chains.values()].map((blocks) => blocks[0]!.stored)
    return stored.length > 0 ? Math.min(...stored) : undefined
  }

  add ({ chain, firstSeq }: Block, commitments: Buffer[]) {
    const blocks = this.#chains.getOrInsertComputed(chain, () => [])
    const next = firstSeq + commitments.length
    const isKept = this.#commitments + commitments.length <= MAX_COMMITMENTS
    const last = blocks.at(-1)
    if (!isKept && last && blocks.length >= MAX_BLOCKS) {
      last.next = next
      this.#forget(last)
      return
    }
    if (isKept) this.#commitments += commitments.length
    blocks.push({ firstSeq, next, stored: performance.now(), ...(isKept && { commitments }) })
  }

  /** The commitments of whole blocks from record `seq` of a chain on, as far as they are kept. */
  commitmentsFrom (chain: string, seq: number, max: number) {
    const found: Buffer[] = []
    for (const { firstSeq, commitments } of this.#chains.get(chain) ?? []) {
      if (firstSeq < seq + found.length) continue
      if (firstSeq > seq + found.length || !commitments || found.length >= max) break
      found.push(...commitments)
    }
    return found
  }

  /** Whether a block of the chain has records from `seq` on. */
  hasFrom (chain: string, seq: number) {
    return (this.#chains.get(chain)?.at(-1)?.next ?? 0) > seq
  }

  /** The log has the records of the chain before `next`. */
  remove (chain: string, next: number) {
    const blocks = this.#chains.get(chain)
    if (!blocks) return
    const count = blocks.findIndex((block) => block.next > next)
    for (const block of blocks.splice(0, count < 0 ? blocks.length : count)) this.#forget(block)
    if (blocks.length === 0) this.#chains.delete(chain)
  }

  #forget (block: UnsequencedBlock) {
    this.#commitments -= block.commitments?.length ?? 0
    delete block.commitments
  }
}
