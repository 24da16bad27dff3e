import type { Database } from '#common/database.ts'
import { TooManyWatched } from '../errors.ts'
import { reviewCollections, type WatchedPatient } from './documents.ts'

const MAX_WATCHED = 1_000

/** The patients of whom each access is a finding. */
export class WatchedPatients {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /** In the order of their ids. */
  list () {
    return this.#database.run(() => this.#patients.find().sort({ _id: 1 }).limit(MAX_WATCHED).toArray())
  }

  /** @throws {TooManyWatched} */
  async add (patient: Omit<WatchedPatient, '_shardKey'>) {
    const { _id, ...content } = patient
    const id = { _id, _shardKey: _id }
    const watched = await this.list()
    if (watched.length >= MAX_WATCHED && !watched.some((one) => one._id === _id)) throw new TooManyWatched()
    const update = { $setOnInsert: content }
    await this.#database.run(() => this.#patients.updateOne(id, update, { upsert: true }))
    return (await this.#database.run(() => this.#patients.findOne(id)))!
  }

  /** Whether the patient was watched. */
  async remove (_id: string) {
    const remove = () => this.#patients.deleteOne({ _id, _shardKey: _id })
    return (await this.#database.run(remove)).deletedCount === 1
  }

  get #patients () {
    return this.#database.collection<WatchedPatient>(reviewCollections.watchedPatients)
  }
}
