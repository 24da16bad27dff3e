import type { ArchiveReader } from './archive-reader.ts'
import { Chain, type ReadRecord } from './chain.ts'
import type { Batch, Span } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'
import type { Leaves } from './leaves.ts'
import type { Register } from './verify.ts'

const ACTIVE_CHAINS = 16
const GAP_ENTRIES = 1_000

/** How far a chain is sequenced. */
export interface Position {
  next: number
  ended: boolean
}

interface Options {
  leaves: Leaves
  archive: ArchiveReader
  findings: Findings
  /** Whether the log is read from its start, so that each chain starts at 1. */
  isWhole: boolean
}

/** Reads the batches of the log in their order, and the records that they put in order. */
export class BatchStream {
  /** Records that are archived and not read. */
  unread = 0
  /** The ids of archives that records of the register name. */
  readonly recordedArchives = new Set<string>()
  /** Of each chain that the batches name. */
  readonly positions = new Map<string, Position>()
  #register: Register
  #options: Options
  #chains = new Map<string, Chain>()
  #active = new Set<Chain>()
  /** Chains may go on elsewhere after a gap between batches, which is a finding of its own. */
  #afterGap = new Set<string>()
  #hadGap = false

  constructor (register: Register, options: Options) {
    this.#register = register
    this.#options = options
  }

  /** Checks the entries from `first` up to `end`. */
  async check (first: number, end: number) {
    if (first === end) return
    const { leaves, findings } = this.#options
    const start = await this.#register.batches.findOne({ _id: { $lte: first } }, { sort: { _id: -1 } })
    const filter = { _id: { $gte: start?._id ?? first, $lt: end } }
    for await (const batch of this.#register.batches.find(filter).sort({ _id: 1 }).batchSize(200)) {
      if (batch._id > leaves.size) await this.#skipGap(Math.min(batch._id, end))
      if (batch._id < leaves.size) {
        findings.add('batch differs', `batch ${batch._id} overlaps the one before it`)
        continue
      }
      await this.#checkBatch(batch, end)
    }
    if (leaves.size < end) await this.#skipGap(end)
    for (const [id, chain] of this.#chains) await chain.finish(this.positions.get(id)!.next)
  }

  /** Takes the positions of the batches after the newest checkpoint, up to batch `last`. */
  async passBeyond (size: number, last: number, expected: Date) {
    const { batches, checkpoints } = this.#register
    let late: Batch | undefined
    for await (const batch of batches.find({ _id: { $gte: size, $lte: last } }).sort({ _id: 1 })) {
      if (batch.date < expected) late ??= batch
      for (const { chain, to, end } of batch.spans) {
        this.positions.set(chain, { next: to + 1, ended: end === true })
      }
    }
    if (!late || await checkpoints.findOne({ _id: { $gt: late._id } }, { projection: { _id: 1 } })) return
    const text = `no checkpoint has the entries from ${late._id} on, added ${late.date.toISOString()}`
    this.#options.findings.add('not sequenced', text)
  }

  async #checkBatch (batch: Batch, end: number) {
    const { leaves, findings } = this.#options
    const { _id, count, spans } = batch
    for (const span of spans) {
      this.#checkSpan(_id, span)
      const chain = await this.#chainOf(span)
      await this.#checkRecords(chain, span, end)
      if (span.end) {
        await chain.end(span.to + 1)
        this.#chains.delete(span.chain)
        this.#active.delete(chain)
      }
    }
    const sum = spans.reduce((total, { from, to }) => total + to - from + 1, 0)
    if (sum !== count) findings.add('batch differs', `batch ${_id} has ${sum} entries instead of ${count}`)
    if (leaves.size < Math.min(_id + count, end)) await this.#skip(Math.min(_id + count, end))
  }

  #checkSpan (batch: number, { chain, from, to, end }: Span) {
    const { findings, isWhole } = this.#options
    const position = this.positions.get(chain)
    const expected = position?.next ?? (isWhole ? 1 : from)
    const isFree = this.#hadGap && !this.#afterGap.has(chain)
    if ((from !== expected && !isFree) || position?.ended || to < from - 1) {
      const place = position?.ended ? 'its end' : `record ${expected}`
      const text = `batch ${batch} has chain ${chain} from record ${from} instead of ${place}`
      findings.add('batch differs', text)
    }
    // The chain is opened again where it goes on
    if (isFree && from !== expected) this.#chains.delete(chain)
    this.#afterGap.add(chain)
    this.positions.set(chain, { next: to + 1, ended: end === true })
  }

  async #checkRecords (chain: Chain, { from, to }: Span, end: number) {
    const { leaves } = this.#options
    for (let seq = from; seq <= to && leaves.size < end;) {
      const last = Math.min(to, seq + end - leaves.size - 1)
      const index = leaves.size
      const records = await chain.read(seq, last, index)
      records.forEach((read, i) => read ? this.#look(read) : this.#noteMissing(chain.id, seq + i, index + i))
      if (!await leaves.add(chain.id, seq, records)) chain.distrust()
      seq += records.length
    }
  }

  #look ({ record: { resource } }: ReadRecord) {
    if (resource.type === 'audit-record' && resource.operation === 'archive' && resource.id) {
      this.recordedArchives.add(resource.id)
    }
  }

  #noteMissing (chain: string, seq: number, index: number) {
    const { archive } = this.#options
    if (!archive.isRead && archive.has(chain, seq)) this.unread++
    else this.#options.findings.addRecord('record missing', chain, seq, index)
  }

  async #chainOf ({ chain: id, from }: Span) {
    const { archive, findings } = this.#options
    const find = archive.find.bind(archive)
    const chain = this.#chains.get(id) ?? await Chain.open(id, from, this.#register.blocks, find, findings)
    this.#chains.set(id, chain)
    // The last one used is the last of the set
    this.#active.delete(chain)
    this.#active.add(chain)
    if (this.#active.size > ACTIVE_CHAINS) {
      const [idle] = this.#active
      idle!.release()
      this.#active.delete(idle!)
    }
    return chain
  }

  async #skipGap (end: number) {
    const { leaves, findings } = this.#options
    findings.add('batch differs', `no batch has the entries from ${leaves.size} to ${end - 1}`)
    this.#hadGap = true
    this.#afterGap.clear()
    await this.#skip(end)
  }

  /** Adds stored entries up to `end` without their records. */
  async #skip (end: number) {
    const { leaves } = this.#options
    while (leaves.size < end) {
      const count = Math.min(end - leaves.size, GAP_ENTRIES)
      await leaves.add('', 0, new Array(count).fill(undefined))
    }
  }
}
