/** What `register:verify` can find, each with what it means. */
export const FINDINGS = {
  'chain broken': 'a block of a chain is missing, damaged or not where its chain continues',
  'block inserted': 'a block that no replica stored in this place',
  'record missing': 'the log has an entry of a record that is neither stored nor archived',
  'record differs': 'a record is not what its entry in the log commits to',
  'not sequenced': 'records that the log, or entries that a checkpoint, should have long since',
  'not linked': 'a block without a link to the one before that the log has not taken in',
  'batch differs': 'the batches have a gap or an overlap',
  'tile differs': 'a tile, or the entry of a record in it, is not what the records lead to',
  'tree differs': 'a checkpoint is not of this tree',
  'signature invalid': 'a checkpoint is not signed by a key of the log',
  'key unknown': 'a key of the log is not signed by one before it',
  'not witnessed': 'a witness has not signed what it should have long since',
  'archive differs': 'an archived record is not what its entry in the log commits to'
} as const

type FindingKind = keyof typeof FINDINGS

/** One finding. `text` names ids and positions, and never content of a record. */
export interface Finding {
  kind: FindingKind
  text: string
}

/** Records that follow each other in a chain and in the log. */
interface Range {
  kind: FindingKind
  chain: string
  from: number
  to: number
  index: number
  id?: string
}

/** Receives findings. Findings of one kind that follow each other are joined. */
export class Findings {
  count = 0
  #use: (finding: Finding) => void
  #range: Range | undefined

  constructor (use: (finding: Finding) => void) {
    this.#use = use
  }

  add (kind: FindingKind, text: string) {
    this.flush()
    this.#emit(kind, text)
  }

  /** The record `seq` of `chain`, which has the entry `index`; joined with the one before it. */
  addRecord (kind: FindingKind, chain: string, seq: number, index: number, id?: string) {
    const last = this.#range
    if (last && last.kind === kind && last.chain === chain && last.to + 1 === seq &&
      last.index + seq - last.from === index) {
      last.to = seq
      return
    }
    this.flush()
    this.#range = { kind, chain, from: seq, to: seq, index, id }
  }

  flush () {
    if (!this.#range) return
    const { kind, chain, from, to, index, id } = this.#range
    this.#range = undefined
    const text = from === to
      ? `record ${from} of chain ${chain} (entry ${index}${id ? `, id ${id}` : ''})`
      : `records ${from} to ${to} of chain ${chain} (entries ${index} to ${index + to - from})`
    this.#emit(kind, text)
  }

  #emit (kind: FindingKind, text: string) {
    this.count++
    this.#use({ kind, text })
  }
}
