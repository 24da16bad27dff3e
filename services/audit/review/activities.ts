import { hash } from 'node:crypto'
import type { Database } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { reviewCollections, type Activity, type EntryBatch } from './documents.ts'
import { inParallel } from '#common/in-parallel.ts'

const PAGE_IDS = 200

/** The id of the activity of a person for whom an actor called; of the actor itself where none is named. */
export function personKey (actor: string, onBehalfOf?: string) {
  return hash('sha256', JSON.stringify([actor, onBehalfOf ?? null])).slice(0, 32)
}

/** What persons and actors did lately, as far as rules have to remember it. */
export class Activities {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /** By id, those of `ids` that are stored. */
  async find (ids: string[]) {
    const found = new Map<string, Activity>()
    for (let i = 0; i < ids.length; i += PAGE_IDS) {
      const page = { $in: ids.slice(i, i + PAGE_IDS) }
      const documents = await this.#database.run(() => this.#activities.find({ _id: page }).toArray())
      for (const activity of documents) found.set(activity._id, activity)
    }
    return found
  }

  /** Stores activities with the records of a batch, unless they are stored already, or later ones. */
  async store ({ start, end }: EntryBatch, activities: Activity[]) {
    await inParallel(activities, async (activity) => {
      const { _id, _shardKey } = activity
      const filter = { _id, _shardKey, upTo: { $lte: start } }
      const replace = () => this.#activities.replaceOne(filter, { ...activity, upTo: end }, { upsert: true })
      await unlessThere(this.#database.run(replace))
    })
  }

  get #activities () {
    return this.#database.collection<Activity>(reviewCollections.activities)
  }
}
