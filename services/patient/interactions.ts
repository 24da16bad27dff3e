import type { FastifyReply } from 'fastify'
import type { Disclosure } from './audit-client.ts'

interface Interaction {
  /** The id of the patient or test, where the request names one. */
  id?: string
  patientId?: string
}

/** Fetch, record, respond: documents are sent only after the record of their disclosure is durable. */
export interface Read<T> extends Interaction {
  /** The names of the criteria of a search. */
  criteria?: string[]
  fetch (): Promise<T>
  disclosed (found: T): Disclosure[]
  answer (found: T, reply: FastifyReply): unknown
}

/** Record, then act: `act` is called with the id of the attempt's record, once this record is durable. */
export interface Write<T> extends Interaction {
  /** The id of the record of the first attempt, if this one repeats it. */
  attemptOf?: string
  act (record: string): Promise<T>
  /** What is disclosed that this write did not make: recorded before `answer`. */
  disclosed? (done: T): Disclosure[] | undefined
  answer (done: T, reply: FastifyReply): unknown
}

export const read = <T>(interaction: Read<T>) => ({ ...interaction, kind: 'read' as const })
export const write = <T>(interaction: Write<T>) => ({ ...interaction, kind: 'write' as const })

// Only `answer` of the same interaction gets what `fetch` or `act` returns, so its type does not matter here
type Erased<I> = Omit<I, 'disclosed' | 'answer'> & {
  answer (found: never, reply: FastifyReply): unknown
}
export type AnyRead = Erased<ReturnType<typeof read<unknown>>> & { disclosed (found: never): Disclosure[] }
export type AnyWrite = Erased<ReturnType<typeof write<unknown>>> & {
  disclosed? (done: never): Disclosure[] | undefined
}
export type AnyInteraction = AnyRead | AnyWrite

/** Another request took the claim of this attempt. The handler is called again, and finds that claim. */
export class ClaimLost extends Error {
  override name = 'ClaimLost'
}
