import type { Database } from '#common/database.ts'

const REPLICAS = 'replicas'

/**
 * An id under which a process writes to patients. It is stored before the first write, and removed when all
 * of its attempts have their outcome.
 */
export interface Replica {
  /** The id that its attempts carry. */
  _id: string
  _shardKey: string
  /** How often the process, or the one that took it over, has shown that it runs. */
  beats: number
  /** The process that finds the outcomes of its attempts, once it has ended. */
  takenBy?: string
}

/** The processes of the patient service that write. Each change is one conditional update. */
export class Replicas {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  all (): Promise<Replica[]> {
    return this.#database.run(() => this.#collection.find({}).toArray())
  }

  async add (replica: string) {
    const changes = { $set: { beats: 0 } }
    await this.#database.run(() => this.#collection.updateOne(keyOf(replica), changes, { upsert: true }))
  }

  /** False if another process has taken the replica over, or removed it since. */
  async beat (replica: string, beats: number) {
    const own = { ...keyOf(replica), takenBy: { $exists: false } }
    const { matchedCount } = await this.#database.run(() =>
      this.#collection.updateOne(own, { $set: { beats } }))
    return matchedCount === 1
  }

  /** False if it has beaten since, or another process was faster. */
  async take ({ _id, beats, takenBy }: Replica, by: string) {
    const unchanged = { ...keyOf(_id), beats, takenBy: takenBy ?? { $exists: false } }
    const { matchedCount } = await this.#database.run(() =>
      this.#collection.updateOne(unchanged, { $set: { beats: beats + 1, takenBy: by } }))
    return matchedCount === 1
  }

  /** Without `takenBy`, the process removes itself. */
  async remove (replica: string, takenBy?: string) {
    const own = { ...keyOf(replica), takenBy: takenBy ?? { $exists: false } }
    await this.#database.run(() => this.#collection.deleteOne(own))
  }

  get #collection () {
    return this.#database.collection<Replica>(REPLICAS)
  }
}

function keyOf (replica: string) {
  return { _id: replica, _shardKey: replica }
}
