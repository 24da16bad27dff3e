import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { formatNote } from '#common/transparency/notes.ts'
import { collections, type StoredCheckpoint } from '#common/transparency/documents.ts'
import { shardOf } from './store.ts'

export interface LogHeads {
  newest?: StoredCheckpoint
  witnessed?: StoredCheckpoint
}

/** The one with entry `index` that a witness has cosigned, else the newest one, if it has the entry. */
export function coveringCheckpoint ({ newest, witnessed }: LogHeads, index: number) {
  return [witnessed, newest].find((checkpoint) => checkpoint && checkpoint._id > index)
}

/** A checkpoint as it is published. */
export function checkpointNote ({ text, signatures, cosignatures }: StoredCheckpoint) {
  return formatNote(text, [...signatures, ...cosignatures])
}

const keyOf = (size: number) => ({ _id: size, _shardKey: shardOf(size) })

/** The checkpoints of the log. */
export class CheckpointStore {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  newestCheckpoint () {
    return this.#newest({}, { _id: -1 })
  }

  async newestWitnessed () {
    const newest = await this.#newest({}, { witnessedDate: -1 })
    return newest?.witnessedDate ? newest : undefined
  }

  /** The newest checkpoint, and the newest that a witness has cosigned. */
  async heads (): Promise<LogHeads> {
    const [newest, witnessed] = [await this.newestCheckpoint(), await this.newestWitnessed()]
    return { ...(newest && { newest }), ...(witnessed && { witnessed }) }
  }

  /** The date of the oldest checkpoint larger than `size`. */
  async dateAfter (size: number) {
    return (await this.#newest({ _id: { $gt: size } }, { _id: 1 }))?.date
  }

  /** The size of the newest checkpoint that `name` cosigned, of the last 1,000; 0 without one. */
  async lastCosigned (name: string) {
    const witnessed = await this.#database.run(() =>
      this.#checkpoints.find({}).sort({ witnessedDate: -1 }).limit(1_000).toArray())
    const sizes = witnessed
      .filter(({ cosignatures }) => cosignatures.some((line) => line.startsWith(`— ${name} `)))
      .map(({ _id }) => _id)
    return Math.max(0, ...sizes)
  }

  /**
   * Stores a checkpoint.
   *
   * @returns undefined, or the checkpoint of its size that is stored already
   */
  async insert (checkpoint: StoredCheckpoint) {
    const insert = () => this.#checkpoints.insertOne(checkpoint)
    if (await unlessThere(this.#database.run(insert))) return undefined
    return await this.#database.run(() => this.#checkpoints.findOne(keyOf(checkpoint._id))) ?? undefined
  }

  /** Adds signature lines of the log to the checkpoint of `size`, each once. */
  addSignatures (size: number, lines: string[]) {
    return this.#addLines(size, 'signatures', lines)
  }

  /** Adds lines of witnesses to the checkpoint of `size`, each once. */
  async addCosignatures (size: number, lines: string[]) {
    await this.#addLines(size, 'cosignatures', lines)
    const unwitnessed = { ...keyOf(size), witnessedDate: { $exists: false } }
    const update = { $set: { witnessedDate: new Date() } }
    await this.#database.run(() => this.#checkpoints.updateOne(unwitnessed, update))
  }

  async #addLines (size: number, field: 'signatures' | 'cosignatures', lines: string[]) {
    for (const line of lines) {
      const without = { ...keyOf(size), [field]: { $ne: line } }
      await this.#database.run(() => this.#checkpoints.updateOne(without, { $push: { [field]: line } }))
    }
  }

  async #newest (filter: object, sort: Record<string, 1 | -1>) {
    return await this.#database.run(() => this.#checkpoints.findOne(filter, { sort })) ?? undefined
  }

  get #checkpoints () { return this.#database.collection<StoredCheckpoint>(collections.checkpoints) }
}
