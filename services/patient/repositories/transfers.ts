import { startDeadline, type Database, type Index } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { IN_PROGRESS_MS, isAbandoned, owner, type Claim } from './claims.ts'
import type { StoredPatient } from './patients.ts'
import type { StoredTest } from './test-results.ts'

const TRANSFERS = 'transfers'

/** No work starts a database command after this time, as another process may then take the transfer over. */
const WORK_MS = IN_PROGRESS_MS - 1_500

/** The ids of the audit records of one transfer, under both patients. */
export interface Records {
  from: string
  to: string
}

/**
 * A move of a test result, or a merge of all that a patient has, from one patient to another. It is stored
 * before the first change and open until the last one, so that another request or a sweep can finish it.
 */
export interface Transfer {
  /** `from` for a merge, `from:test` for a move. */
  _id: string
  /** The patient `from`. */
  _shardKey: string
  from: string
  to: string
  test?: string
  /** Whether the move is part of a merge. */
  merge?: boolean
  records: Records
  /** The date of the version that the transfer makes. */
  lastUpdated: Date
  /** The document that is replaced. Only open transfers have health data. */
  document?: StoredTest | StoredPatient
  /** Open until the transfer is finished. A finished move stays as a reference to the new place. */
  open?: true
  /** Set once the document is replaced by its tombstone: from then on, the transfer is never given up. */
  committed?: true
  /** Set once the test result is stored at its new place, where it is hidden until then. */
  placed?: true
  owner: Claim['owner']
  started: Date
}

export interface Move extends Transfer {
  test: string
  document: StoredTest
}

export const transferIndexes: Index[] = [{ collection: TRANSFERS, key: { open: 1, _id: 1 } }]

const transferId = (from: string, test?: string) => test === undefined ? from : `${from}:${test}`

export class Transfers {
  #database: Database
  /** The transfers that this process is working at. */
  #active = new Set<string>()
  /** Called when work at a transfer fails. */
  onFailure = () => {}

  constructor (database: Database) {
    this.#database = database
  }

  find (from: string, test?: string) {
    const key = { _id: transferId(from, test), _shardKey: from }
    return this.#database.run(() => this.#collection.findOne(key))
  }

  /** The open transfers from or to one of these patients; without ids, of all patients. */
  async open (...patientIds: string[]) {
    const found = await this.#database.run(() => this.#collection.find({ open: true }).toArray())
    if (patientIds.length === 0) return found
    return found.filter(({ from, to }) => patientIds.includes(from) || patientIds.includes(to))
  }

  /**
   * Stores a new transfer and does `work`. Returns undefined where there is another open one of the same
   * document.
   */
  async begin<T> (transfer: Transfer, work: () => Promise<T>): Promise<T | undefined> {
    return this.#hold(transfer, async () => await this.#store(transfer) ? work() : undefined)
  }

  /** False where there is another open one. */
  async #store (transfer: Transfer) {
    const { _id, _shardKey, test, records } = transfer
    // Replaces a finished one, if any. With an open one, the upsert fails
    const finished = { _id, _shardKey, open: { $exists: false } }
    const replace = () => this.#collection.replaceOne(finished, transfer, { upsert: true })
    if (await unlessThere(this.#database.run(replace))) return true
    // An earlier attempt of this write may have succeeded
    return (await this.find(_shardKey, test))?.records.to === records.to
  }

  /** Does `work` for a transfer that another request began. False while that one may still finish it. */
  async resume (transfer: Transfer, work: () => Promise<unknown>) {
    const { owner: { run }, started } = transfer
    if (run !== owner.run && !isAbandoned({ owner: transfer.owner, lastUpdated: started })) return false
    const resumed = this.#hold(transfer, async () => {
      if (!await this.#take(transfer)) return false
      await work()
      return true
    })
    return await resumed ?? false
  }

  async #take (transfer: Transfer) {
    const { _id, _shardKey, owner: { run }, started } = transfer
    const unchanged = { _id, _shardKey, open: true, 'owner.run': run, started } as const
    const taken = { owner, started: new Date() }
    const { matchedCount } = await this.#database.run(() =>
      this.#collection.updateOne(unchanged, { $set: taken }))
    Object.assign(transfer, taken)
    return matchedCount === 1
  }

  /** Does `work` unless this process is already working at the transfer. */
  async #hold<T> ({ _id }: Transfer, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#active.has(_id)) return undefined
    this.#active.add(_id)
    const deadline = Math.min(startDeadline.getStore() ?? Infinity, performance.now() + WORK_MS)
    try {
      return await startDeadline.run(deadline, work)
    } catch (error) {
      this.onFailure()
      throw error
    } finally {
      this.#active.delete(_id)
    }
  }

  async update (transfer: Transfer, changes: Partial<Pick<Transfer, 'document' | 'committed' | 'placed'>>) {
    Object.assign(transfer, changes)
    await this.#database.run(() => this.#collection.updateOne(this.#keyOf(transfer), { $set: changes }))
  }

  /** Finishes a transfer; a move that is not part of a merge leaves where the test result is now. */
  async close (transfer: Transfer) {
    if (transfer.test === undefined || transfer.merge) return this.remove(transfer)
    const { document, open, committed, placed, ...reference } = transfer
    await this.#database.run(() => this.#collection.replaceOne(this.#keyOf(transfer), reference))
  }

  async remove (transfer: Transfer) {
    await this.#database.run(() => this.#collection.deleteOne(this.#keyOf(transfer)))
  }

  /** Removes a transfer that has changed nothing; another process may have got further with it. */
  async giveUp (transfer: Transfer) {
    const unchanged = { ...this.#keyOf(transfer), committed: { $exists: false } }
    await this.#database.run(() => this.#collection.deleteOne(unchanged))
  }

  /** Removes what finished moves from a patient left. */
  removeReferences (from: string) {
    const finished = { _shardKey: from, open: { $exists: false } }
    return this.#database.run(() => this.#collection.deleteMany(finished))
  }

  #keyOf ({ _id, _shardKey, records }: Transfer) {
    return { _id, _shardKey, open: true as const, 'records.to': records.to }
  }

  get #collection () {
    return this.#database.collection<Transfer>(TRANSFERS)
  }
}

export function newTransfer (from: string, to: string, records: Records, test?: string): Transfer {
  const now = new Date()
  return {
    _id: transferId(from, test),
    _shardKey: from,
    from,
    to,
    ...(test !== undefined && { test }),
    records,
    lastUpdated: now,
    open: true,
    owner,
    started: now
  }
}
