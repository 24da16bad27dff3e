import type { FastifyReply } from 'fastify'
import type { Disclosure } from './audit-client.ts'

interface Interaction {
  /** The id of the patient or test, where the request names one. */
  id?: string
  patientId?: string
}

/** Fetch, record, respond: what was found is sent only after the record of its disclosure is durable. */
export interface Read<T> extends Interaction {
  /** The names of the criteria of a search. */
  criteria?: string[]
  fetch (): Promise<T>
  disclosed (found: T): Disclosure[]
  answer (found: T, reply: FastifyReply): unknown
}

/** Record, then act: nothing is written before the record of the attempt, whose id `act` gets, is durable. */
export interface Write<T> extends Interaction {
  /** The record of the first attempt, where this one repeats it. */
  attemptOf?: string
  act (record: string): Promise<T>
  answer (done: T, reply: FastifyReply): unknown
}

export const read = <T>(interaction: Read<T>) => ({ ...interaction, kind: 'read' as const })
export const write = <T>(interaction: Write<T>) => ({ ...interaction, kind: 'write' as const })

// What `fetch` or `act` returns goes to `answer` of the same interaction only, so that its type does not matter here
type Erased<I> = Omit<I, 'disclosed' | 'answer'> & {
  disclosed (found: never): Disclosure[]
  answer (found: never, reply: FastifyReply): unknown
}
export type AnyRead = Erased<ReturnType<typeof read<unknown>>>
export type AnyWrite = Omit<Erased<ReturnType<typeof write<unknown>>>, 'disclosed'>
export type AnyInteraction = AnyRead | AnyWrite

/** Another request won the claim of this attempt: the handler is called again, and finds what that one did. */
export class ClaimLost extends Error {
  override name = 'ClaimLost'
}
