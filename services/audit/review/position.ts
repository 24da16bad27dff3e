import { randomUUID } from 'node:crypto'
import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { reviewCollections, type ReviewDocument } from './documents.ts'

const ID = { _id: 'position', _shardKey: 'position' }
/** With the time between two polls, less than the 10 s in which a finding has to be there. */
const LEASE_MS = 4_000

/**
 * The position of the review in the log, and the lease of the process that follows it. The lease saves work:
 * what is stored stays the same where two processes follow the log at the same time.
 */
export class ReviewPosition {
  #database: Database
  #holder = randomUUID()

  constructor (database: Database) {
    this.#database = database
  }

  /** @param size the size of the log, where findings begin if there is no review yet */
  async read (size: number): Promise<ReviewDocument> {
    const find = () => this.#database.run(() => this.#review.findOne(ID))
    const stored = await find()
    if (stored) return stored
    const first = { position: 0, findingsFrom: size, heldUntil: new Date(0) }
    const insert = () => this.#review.updateOne(ID, { $setOnInsert: first }, { upsert: true })
    await unlessThere(this.#database.run(insert))
    return (await find())!
  }

  /** Whether this process has the lease now. */
  async acquire () {
    const isFree = { $or: [{ holder: this.#holder }, { heldUntil: { $lt: new Date() } }] }
    const lease = { holder: this.#holder, heldUntil: this.#leaseEnd() }
    return await this.#update(isFree, lease)
  }

  /** Stores that the records from `from` to before `to` are reviewed. False if the position is another. */
  async advance (from: number, to: number) {
    const holder = this.#holder
    return await this.#update({ position: from, holder }, { position: to, heldUntil: this.#leaseEnd() })
  }

  async release () {
    await this.#update({ holder: this.#holder }, { heldUntil: new Date(0) })
  }

  async #update (filter: object, changes: Partial<ReviewDocument>) {
    const update = () => this.#review.updateOne({ ...ID, ...filter }, { $set: changes })
    return (await this.#database.run(update)).matchedCount === 1
  }

  #leaseEnd () {
    return new Date(Date.now() + LEASE_MS)
  }

  get #review () {
    return this.#database.collection<ReviewDocument>(reviewCollections.review)
  }
}
