import { randomUUIDv7 } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods,
  RawRequestDefaultExpression, RawServerDefault, RouteGenericInterface, RouteHandlerMethod
} from 'fastify'
import fp from 'fastify-plugin'
import { startDeadline } from '#common/database.ts'
import { STARTING_MS, withTimeout } from '#common/with-timeout.ts'
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
export class ClaimLost extends Error {
  override name = 'ClaimLost'
}

// A caller gets its answer within 5 s. Nothing is begun on the database so late that it would start after that
// answer, and the record of a failure needs the last of the time. All in ms since the request began.
const RECORDED_BY = 2_500
const START_BY = 3_500
const DONE_BY = 4_500
const ANSWERED_BY = 4_900

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
    const arrived = started - reply.elapsedTime
    const timeLeft = (ms: number) => started + ms - performance.now()
    const inTime = <T>(work: () => T | Promise<T>): T | Promise<T> => {
      const result = startDeadline.run(started + START_BY, work)
      return result instanceof Promise ? withTimeout(timeLeft(DONE_BY), result, () => new OutOfTime()) : result
    }

    for (;;) {
      const interaction = await inTime(() => handler(request))
      const { id, patientId } = interaction
      const entry: AuditEntry = { resource: { ...subject, id, patientId } }
      const record = async (more: Partial<AuditEntry>, by: number, id = randomUUIDv7()) => {
        const cold = audit.mayBeStarting
        await audit.record(id, { ...entry, ...more }, request, cold ? arrived + STARTING_MS - performance.now() : timeLeft(by))
        // What the register took to start is not the request's time
        if (cold) started = performance.now()
      }

      if (interaction.kind === 'read') {
        const { criteria, fetch, disclosed, answer } = interaction
        let found
        try {
          found = await inTime(fetch)
        } catch (error) {
          await record({ criteria, disclosed: [], outcome: outcomeOf(error) }, ANSWERED_BY)
          throw error
        }
        await record({ criteria, disclosed: disclosed(found) }, ANSWERED_BY)
        return answer(found, reply)
      }

      const attempt = randomUUIDv7()
      const failure = { outcome: 'failure' as const, attemptOf: attempt }
      await record({ attemptOf: interaction.attemptOf }, RECORDED_BY, attempt)
      let acting: Promise<unknown> | undefined
      let done
      try {
        done = await inTime(() => (acting = interaction.act(attempt)))
      } catch (error) {
        if (error instanceof OutOfTime) {
          // It may yet be done, and is a failure only where it fails
          acting?.catch(() => audit.record(randomUUIDv7(), { ...entry, ...failure }, request, ANSWERED_BY))
            .catch((err) => request.log.warn({ err }, 'a late failure is not recorded'))
          throw error
        }
        await record(failure, ANSWERED_BY)
        if (error instanceof ClaimLost) continue
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
