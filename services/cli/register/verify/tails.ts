import type { Archive } from '../archive/documents.ts'
import type { BatchStream, Position } from './batches.ts'
import { openOf, type Batch, type Block, type ChainDocument } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'
import type { Register } from './verify.ts'

const NEWEST_FIRST = { chain: -1, firstSeq: -1 } as const
const OF_HEAD = {
  chain: 1, firstSeq: 1, end: 1, previous: 1, to: 1, 'records.seq': 1, 'records.createdDate': 1
}
/** A chain without new blocks gets its end after an hour, from replicas that look every minute. */
const IDLE_MS = 60 * 60_000
const SWEEP_MS = 10 * 60_000
const SWEEP_BATCHES = 1_000

interface Options {
  /** Whether all chains are checked, else those that the last batch names. */
  isWhole: boolean
  now: Date
  lastBatch: Batch
  graceMs: number
  archives: Archive[]
}

type Head = Pick<Block, '_id' | 'chain' | 'firstSeq' | 'end' | 'previous' | 'to'> & {
  records: Array<{ seq: number, createdDate: Date }>
}

/** Records of one block that are not sequenced yet. */
interface Waiting {
  chain: string
  from: number
  to: number
  date: Date
}

/** Checks what the chains have beyond the log. */
export class Tails {
  #register: Register
  #stream: BatchStream
  #options: Options
  #findings: Findings
  #waiting: Waiting[] = []
  /** Chains without blocks since then should have an end. */
  #idleSince: Date | undefined

  constructor (register: Register, stream: BatchStream, options: Options, findings: Findings) {
    this.#register = register
    this.#stream = stream
    this.#options = options
    this.#findings = findings
  }

  /** @returns the number of records that wait to be sequenced */
  async check () {
    const { isWhole, lastBatch } = this.#options
    const { positions } = this.#stream
    this.#idleSince = await this.#findIdleSince()
    if (isWhole) {
      await this.#checkAll(positions)
      this.#checkOpen(positions)
      await this.#checkArchives()
    } else {
      for (const { chain, next } of lastBatch.open) {
        const head = await this.#headOf({ chain })
        if (head) await this.#checkHead(head, { next, ended: false })
      }
    }
    await this.#reportOld()
    return this.#waiting.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  }

  /** Compares all chains that have blocks with those that are announced, the newest chain first. */
  async #checkAll (positions: Map<string, Position>) {
    const announced = this.#register.chains.find().sort({ _id: -1 })
    try {
      let chain = await announced.next()
      let head = await this.#headOf({})
      while (chain || head) {
        if (!head || (chain && chain._id > head.chain)) {
          if (chain!.ended) await this.#checkEmpty(chain!)
          chain = await announced.next()
          continue
        }
        const position = positions.get(head.chain) ?? { next: 1, ended: false }
        const isAnnounced = chain?._id === head.chain
        if (!isAnnounced) this.#noteUnannounced(head, position)
        await this.#checkHead(head, position, isAnnounced ? chain! : undefined)
        if (isAnnounced) chain = await announced.next()
        head = await this.#headOf({ chain: { $lt: head.chain } })
      }
    } finally {
      await announced.close()
    }
  }

  async #headOf (filter: { chain?: string | { $lt: string } }) {
    return await this.#register.blocks
      .findOne<Head>(filter, { sort: NEWEST_FIRST, projection: OF_HEAD })
  }

  async #checkHead (head: Head, position: Position, announced?: ChainDocument) {
    const end = head.firstSeq + head.records.length
    if (position.ended) {
      if (head.firstSeq > position.next) this.#addInserted(head)
      return
    }
    if (end > position.next) await this.#readTail(head.chain, position, announced !== undefined)
    if (!head.end && announced?.ended) await this.#checkEmpty(announced)
    const isIdle = head.to && this.#idleSince && head.to < this.#idleSince
    if (!head.end && head.previous && isIdle) {
      const text = `chain ${head.chain} has no block since ${head.to!.toISOString()}, and no end`
      this.#findings.add('chain broken', text)
    }
  }

  async #readTail (chain: string, { next }: Position, isAnnounced: boolean) {
    const filter = { chain, firstSeq: { $gte: next } }
    const blocks = this.#register.blocks.find<Head>(filter, { projection: OF_HEAD })
      .sort({ chain: 1, firstSeq: 1 })
    for await (const { _id, firstSeq, records, previous } of blocks) {
      if (!previous && !isAnnounced) {
        this.#findings.add('not linked', `block ${_id} is not linked and not in the log`)
      } else if (records.length > 0) {
        // Blocks from before the log enter it batch by batch
        const date = previous ? records[0]!.createdDate : this.#options.lastBatch.date
        this.#waiting.push({ chain, from: firstSeq, to: firstSeq + records.length - 1, date })
      }
    }
  }

  async #checkEmpty ({ _id }: ChainDocument) {
    // What is read first may be older than the announcement's mark
    if (await this.#register.blocks.findOne({ chain: _id, end: true })) return
    this.#findings.add('chain broken', `chain ${_id} has ended, and has no end`)
  }

  #noteUnannounced (head: Head, { next }: Position) {
    // Of older services, which do not announce chains; what is not in the log is reported with its blocks
    if (!head.previous && next === 1) return
    this.#findings.add('block inserted', `chain ${head.chain} is not announced`)
  }

  #addInserted ({ _id, chain }: Head) {
    this.#findings.add('block inserted', `block ${_id} is after the end of chain ${chain}`)
  }

  /** The last batch says how far each chain is. */
  #checkOpen (positions: Map<string, Position>) {
    const { _id } = this.#options.lastBatch
    const stored = openOf(this.#options.lastBatch)
    const isSame = [...positions].every(([chain, { next, ended }]) =>
      ended ? !stored.has(chain) : stored.get(chain) === next)
    if (isSame && [...stored.keys()].every((chain) => positions.has(chain))) return
    this.#findings.add('batch differs', `batch ${_id} has other open chains than the batches up to it`)
  }

  async #reportOld () {
    const { now, graceMs, lastBatch } = this.#options
    const old = this.#waiting.filter(({ date }) => +now - +date > graceMs)
    if (old.length === 0) return
    const next = new Map<string, number>()
    const newer = this.#register.batches.find({ _id: { $gt: lastBatch._id } }).sort({ _id: 1 })
    for await (const { spans } of newer) {
      for (const { chain, to } of spans) next.set(chain, to + 1)
    }
    for (const { chain, from, to, date } of old) {
      if ((next.get(chain) ?? 0) > to) continue
      const which = from === to ? `record ${from}` : `records ${from} to ${to}`
      this.#findings.add('not sequenced', `${which} of chain ${chain}, stored ${date.toISOString()}`)
    }
  }

  /** Whoever removes records says so in the register first. */
  async #checkArchives () {
    for (const { file, sha256, removedDate } of this.#options.archives) {
      if (!removedDate || this.#stream.recordedArchives.has(sha256)) continue
      const filter = { 'records.resource.id': sha256 }
      if (await this.#register.blocks.findOne(filter, { projection: { _id: 1 } })) continue
      this.#findings.add('archive differs', `the register has no record of ${file}`)
    }
  }

  /** The time before which a chain's last block is so old that a replica must have ended the chain. */
  async #findIdleSince () {
    const { lastBatch } = this.#options
    const swept = new Date(+lastBatch.date - SWEEP_MS)
    const before = this.#register.batches.find({ _id: { $lt: lastBatch._id } }, { projection: { date: 1 } })
      .sort({ _id: -1 }).limit(SWEEP_BATCHES)
    for await (const { date } of before) if (date <= swept) return new Date(+date - IDLE_MS)
    return undefined
  }
}
