import type { Collection } from 'mongodb'
import type { Block } from '#common/transparency/documents.ts'
import type { Hold } from './documents.ts'

const TEXT = /^patient ([0-9A-Za-z-]{1,256})$/

/** Whether `text` names what can be held: `patient <id>`. */
export const isHold = (text: string) => TEXT.test(text)

/** What must stay in the database whatever its age. */
export class Holds {
  #patients: Set<string>

  constructor (holds: Hold[]) {
    this.#patients = new Set(holds.map(({ _id }) => TEXT.exec(_id)![1]!))
  }

  static async read (holds: Collection<Hold>) {
    return new Holds(await holds.find().toArray())
  }

  /** Whether one of the records concerns something that is held. */
  concern ({ records }: Pick<Block, 'records'>) {
    if (this.#patients.size === 0) return false
    const isHeld = (id: string | undefined) => id !== undefined && this.#patients.has(id)
    return records.some(({ resource, disclosed }) =>
      isHeld(resource.id) || isHeld(resource.patientId) || disclosed?.some(({ id }) => isHeld(id)))
  }
}
