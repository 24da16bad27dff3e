import type { Collection, FindCursor } from 'mongodb'
import { parseCheckpoint, type Checkpoint } from '#common/transparency/checkpoints.ts'
import {
  NoteError, parseNote, parseSignature, verifiedSignatures, type VerifierKey
} from '#common/transparency/notes.ts'
import type { StoredCheckpoint } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'

const WITNESS_GRACE_MS = 10 * 60_000

/** A checkpoint that the auditor has kept, or had from a witness. */
export interface KeptCheckpoint {
  /** The name of the file. */
  name: string
  note: string
}

/** What a witness has signed. */
export interface Witnessed {
  name: string
  /** Whether its key was given, so that its signatures were checked. */
  isChecked: boolean
  size: number
  first: Date
  last: Date
  /** The date of the first checkpoint after the last one that it signed. */
  unsignedSince?: Date
}

interface Expected {
  name: string
  size: number
  root: Buffer
}

interface Options {
  keys: VerifierKey[]
  witnesses: VerifierKey[]
  kept: KeptCheckpoint[]
  findings: Findings
}

/** The stored checkpoints and those that the auditor has, in the order of their sizes. */
export class Checkpoints {
  readonly witnessed = new Map<string, Witnessed>()
  /** The auditor's checkpoints of other sizes. */
  readonly keptElsewhere: Expected[]
  /** The size of the next checkpoint. */
  nextSize = -1
  #stored: FindCursor<StoredCheckpoint>
  #next: StoredCheckpoint | null = null
  #kept: Expected[]
  #options: Options
  #unsigned: { from: number, to: number, count: number } | undefined

  /** From `start` up to `end`, which are sizes. */
  constructor (stored: Collection<StoredCheckpoint>, start: number, end: number, options: Options) {
    this.#options = options
    this.#stored = stored.find({ _id: { $gte: start, $lte: end } }).sort({ _id: 1 }).batchSize(500)
    const kept = options.kept.flatMap((one) => this.#readKept(one)).toSorted((a, b) => a.size - b.size)
    this.#kept = kept.filter(({ size }) => size >= start && size <= end)
    this.keptElsewhere = kept.filter(({ size }) => size < start || size > end)
  }

  async open () {
    await this.#advance()
  }

  /** The roots that the checkpoints of size `nextSize` have. */
  async take (): Promise<Expected[]> {
    const size = this.nextSize
    const taken: Expected[] = []
    while (this.#kept[0]?.size === size) taken.push(this.#kept.shift()!)
    if (this.#next?._id === size) {
      const expected = this.#checkStored(this.#next)
      if (expected) taken.push(expected)
      await this.#advance()
    } else {
      this.#setNextSize()
    }
    return taken
  }

  /** Reports checkpoints in succession that are not signed. */
  finish () {
    if (!this.#unsigned) return
    const { from, to, count } = this.#unsigned
    this.#unsigned = undefined
    const text = count === 1
      ? `checkpoint ${from} is not signed by a key of the log`
      : `${count} checkpoints from ${from} to ${to} are not signed by a key of the log`
    this.#options.findings.add('signature invalid', text)
  }

  async close () {
    await this.#stored.close()
  }

  /** Reports witnesses that have not signed for long, at `now`. */
  checkWitnesses (now: Date) {
    for (const { name, vkey } of this.#options.witnesses) {
      const witnessed = this.witnessed.get(vkey)
      if (!witnessed) {
        this.#options.findings.add('not witnessed', `no checkpoint is signed by ${name}`)
      } else if (witnessed.unsignedSince && +now - +witnessed.unsignedSince > WITNESS_GRACE_MS) {
        const since = witnessed.unsignedSince.toISOString()
        this.#options.findings.add('not witnessed',
          `${name} has not signed the entries from ${witnessed.size} on since ${since}`)
      }
    }
  }

  async #advance () {
    this.#next = await this.#stored.next()
    this.#setNextSize()
  }

  #noteUnsigned (size: number) {
    this.#unsigned ??= { from: size, to: size, count: 0 }
    this.#unsigned.to = size
    this.#unsigned.count++
  }

  #setNextSize () {
    this.nextSize = Math.min(this.#next?._id ?? Infinity, this.#kept[0]?.size ?? Infinity)
  }

  #checkStored (stored: StoredCheckpoint): Expected | undefined {
    const { _id, text, signatures, cosignatures, date } = stored
    const name = `checkpoint ${_id}`
    const { keys, findings } = this.#options
    const checkpoint = parse(text)
    if (!checkpoint || checkpoint.size !== _id) {
      findings.add('signature invalid', `${name} is not a checkpoint of this size`)
      return undefined
    }
    if (isSignedBy(keys, text, signatures)) this.finish()
    else this.#noteUnsigned(_id)
    this.#checkCosignatures(name, text, cosignatures, checkpoint, date)
    return { name, size: _id, root: checkpoint.root }
  }

  #checkCosignatures (name: string, text: string, lines: string[], { size }: Checkpoint, date: Date) {
    const { witnesses, findings } = this.#options
    const signers = new Set<string>()
    for (const line of lines) {
      const witness = witnesses.find((key) => isLineOf(key, line))
      const seconds = witness ? secondsOf(text, line, witness) : undefined
      if (witness && seconds === undefined) {
        findings.add('signature invalid', `${name} has an invalid cosignature of ${witness.name}`)
        continue
      }
      const id = witness?.vkey ?? line.split(' ')[1]!
      signers.add(id)
      const signed = seconds === undefined ? date : new Date(seconds * 1_000)
      const before = this.witnessed.get(id)
      const isChecked = witness !== undefined
      const first = before?.first ?? signed
      this.witnessed.set(id, { name: witness?.name ?? id, isChecked, size, first, last: signed })
    }
    for (const [id, witnessed] of this.witnessed) if (!signers.has(id)) witnessed.unsignedSince ??= date
  }

  #readKept ({ name, note }: KeptCheckpoint): Expected[] {
    const { keys, witnesses, findings } = this.#options
    try {
      const { text, signatures } = parseNote(note)
      const { size, root } = parseCheckpoint(text)
      const lines = signatures.map(({ line }) => line)
      if (!isSignedBy([...keys, ...witnesses], text, lines)) {
        findings.add('signature invalid', `${name} is not signed by a key of the log or a witness`)
      }
      return [{ name, size, root }]
    } catch (error) {
      if (!(error instanceof NoteError)) throw error
      findings.add('signature invalid', `${name} is not a signed checkpoint`)
      return []
    }
  }
}

/** Whether one of `keys` has signed `text`, and none of their signatures is invalid. */
function isSignedBy (keys: VerifierKey[], text: string, lines: string[]) {
  try {
    return verifiedSignatures({ text, signatures: lines.map(parseSignature) }, keys).length > 0
  } catch {
    return false
  }
}

function secondsOf (text: string, line: string, witness: VerifierKey) {
  try {
    return verifiedSignatures({ text, signatures: [parseSignature(line)] }, [witness])[0]?.seconds
  } catch {
    return undefined
  }
}

function isLineOf ({ name, keyId }: VerifierKey, line: string) {
  try {
    const signature = parseSignature(line)
    return signature.name === name && signature.keyId === keyId
  } catch {
    return false
  }
}

function parse (text: string) {
  try {
    return parseCheckpoint(text)
  } catch {
    return undefined
  }
}
