import { randomUUIDv7 } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods,
  RawRequestDefaultExpression, RawServerDefault, RouteGenericInterface, RouteHandlerMethod
} from 'fastify'
import fp from 'fastify-plugin'
import { within } from '#common/within.ts'
import type { AuditClient, AuditEntry, Disclosure } from './audit-client.ts'
import { OutOfTime } from './errors.ts'

interface Interaction {
  /** The id of the patient or test, where the request names one. */
  id?: string
  patientId?: string
}

/** Fetch, record, answer: what was found leaves only after the record that says so is durable. */
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

type AnyInteraction = ReturnType<typeof read<any>> | ReturnType<typeof write<any>>

type TypedRequest<S extends FastifySchema> =
  FastifyRequest<RouteGenericInterface, RawServerDefault, RawRequestDefaultExpression, S, TypeBoxTypeProvider>

export interface AuditedRoute<S extends FastifySchema> {
  method: HTTPMethods
  url: string
  schema: S
  /** What its records say the resource and the operation are. */
  audit: { type: 'patient' | 'test', operation: string }
  /** Says what is to be read or written; it discloses and writes nothing itself. */
  handler (request: TypedRequest<S>): AnyInteraction | Promise<AnyInteraction>
}

declare module 'fastify' {
  interface FastifyInstance {
    audited<S extends FastifySchema> (this: FastifyInstance, route: AuditedRoute<S>): void
  }
}

/** An attempt that another request overtook: the handler is asked again, and finds what that one did. */
export class Overtaken extends Error {
  override name = 'Overtaken'
}

// A caller gets its answer within 5 s; the record of a failure needs the last of them
const WORK_MS = 4_000
const ANSWER_MS = 4_900

/**
 * Makes `app.audited` the only way to add a route to its scope: any other stops the start.
 * The order of record and act, and of record and answer, is here and nowhere else.
 */
export const audited = fp<{ audit: AuditClient }>(async (app, { audit }) => {
  const handlers = new WeakSet<RouteHandlerMethod>()

  app.decorate('audited', function <S extends FastifySchema> (this: FastifyInstance, route: AuditedRoute<S>) {
    const { audit: subject, handler, ...options } = route
    const carryOut: RouteHandlerMethod = (request, reply) => interact(subject, handler as unknown as Handler, request, reply)
    handlers.add(carryOut)
    this.route({ ...options, handler: carryOut })
  })

  app.addHook('onRoute', ({ method, url, handler }) => {
    if (!handlers.has(handler)) throw new Error(`${method} ${url} does not say what it audits`)
  })

  type Handler = (request: FastifyRequest) => AnyInteraction | Promise<AnyInteraction>
  type Subject = AuditedRoute<FastifySchema>['audit']

  async function interact (subject: Subject, handler: Handler, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    let started = performance.now()
    const timeLeft = (ms: number) => started + ms - performance.now()
    const inTime = <T>(work: Promise<T>) => within(timeLeft(WORK_MS), work, () => new OutOfTime())

    for (;;) {
      const interaction = await inTime(Promise.resolve(handler(request)))
      const { id, patientId } = interaction
      const entry: AuditEntry = { resource: { ...subject, id, patientId } }
      const record = async (more: Partial<AuditEntry>, ms: number, id = randomUUIDv7()) => {
        const before = performance.now()
        await audit.record(id, { ...entry, ...more }, request, timeLeft(ms))
        // Time spent on a register that had to be started first is not the request's
        if (performance.now() - before > ANSWER_MS) started = performance.now()
      }

      if (interaction.kind === 'read') {
        const { criteria, fetch, disclosed, answer } = interaction
        let found
        try {
          found = await inTime(fetch())
        } catch (error) {
          await record({ criteria, disclosed: [], outcome: outcomeOf(error) }, ANSWER_MS)
          throw error
        }
        await record({ criteria, disclosed: disclosed(found) }, ANSWER_MS)
        return answer(found, reply)
      }

      const attempt = randomUUIDv7()
      await record({ attemptOf: interaction.attemptOf }, WORK_MS, attempt)
      let done
      try {
        done = await inTime(interaction.act(attempt))
      } catch (error) {
        await record({ outcome: 'failure', attemptOf: attempt }, ANSWER_MS)
        if (error instanceof Overtaken) continue
        throw error
      }
      return interaction.answer(done, reply)
    }
  }
}, { name: 'audited' })

// That nothing was found is what the read found out
function outcomeOf (error: unknown) {
  return (error as { statusCode?: number }).statusCode === 404 ? undefined : 'failure'
}
