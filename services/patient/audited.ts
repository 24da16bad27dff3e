import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods,
  RawRequestDefaultExpression, RawServerDefault, RouteGenericInterface, RouteHandlerMethod
} from 'fastify'
import fp from 'fastify-plugin'
import type { AuditClient } from './audit-client.ts'
import { isRefusal, OutOfTime } from './errors.ts'
import { ClaimLost, type AnyInteraction, type AnyRead, type AnyWrite } from './interactions.ts'
import { Doubts } from './reconciler/doubts.ts'
import type { AttemptToFind, Found } from './reconciler/evidence.ts'
import type { Heartbeat } from './reconciler/heartbeat.ts'
import { Recorder, RequestTime, type Content } from './recorder.ts'
import { UnrecordedFailures } from './unrecorded-failures.ts'

type TypedRequest<S extends FastifySchema> =
  FastifyRequest<RouteGenericInterface, RawServerDefault, RawRequestDefaultExpression, S, TypeBoxTypeProvider>

interface AuditedRoute<S extends FastifySchema> {
  method: HTTPMethods
  url: string
  schema: S
  /** The type of the resource and the operation, as the route's audit records have them. */
  audit: { type: 'patient' | 'test', operation: string }
  /** Returns what is to be read or written; it discloses and writes nothing itself. */
  handler (request: TypedRequest<S>, reply: FastifyReply): AnyInteraction | Promise<AnyInteraction>
}

declare module 'fastify' {
  interface FastifyInstance {
    audited<S extends FastifySchema> (this: FastifyInstance, route: AuditedRoute<S>): void
  }
}

interface AuditedOptions {
  audit: AuditClient
  heartbeat: Heartbeat
  /** What became of a write of which the database did not say whether it was applied. */
  find: (attempt: AttemptToFind) => Promise<Found>
}

/**
 * Makes `app.audited` the only way to add routes to its scope: any other route fails the start.
 * Only this module orders record and write, and record and response.
 */
export const audited = fp<AuditedOptions>(async (app, { audit, heartbeat, find }) => {
  const handlers = new WeakSet<RouteHandlerMethod>()
  const failures = new UnrecordedFailures(audit, app.log)
  const doubts = new Doubts(find, app.log)
  const parts = { audit, failures, heartbeat, doubts }
  app.addHook('onClose', async () => {
    await doubts.close()
    await failures.close()
  })

  app.decorate('audited', function <S extends FastifySchema> (this: FastifyInstance, route: AuditedRoute<S>) {
    const { audit: subject, handler, ...options } = route
    const complete: RouteHandlerMethod = async (request, reply) => {
      const time = new RequestTime(reply)
      for (;;) {
        const interaction = await time.limit(() => handler(request as unknown as TypedRequest<S>, reply))
        const recorderOf = ({ id, patientId }: Subject) =>
          new Recorder(parts, time, { resource: { ...subject, id, patientId } }, request)
        const recorder = recorderOf(interaction)
        try {
          if (interaction.kind === 'read') return await completeRead(interaction, recorder, reply)
          const { also } = interaction
          const recorders = also ? [recorder, recorderOf(also)] : [recorder]
          return await completeWrite(interaction, recorders, time, reply)
        } catch (error) {
          if (!(error instanceof ClaimLost)) throw error
        }
      }
    }
    handlers.add(complete)
    this.route({ ...options, handler: complete })
  })

  app.addHook('onRoute', ({ method, url, handler }) => {
    if (!handlers.has(handler)) throw new Error(`${method} ${url} does not say what it audits`)
  })
}, { name: 'audited' })

async function completeRead (interaction: AnyRead, recorder: Recorder, reply: FastifyReply) {
  const { criteria, fetch, disclosed, answer } = interaction
  let found
  try {
    found = await recorder.time.limit(fetch) as never
  } catch (error) {
    // Not found is a result of the read, not a failure
    if (isNotFound(error)) await recorder.recordDisclosure({ criteria, disclosed: [] })
    else await recorder.recordFailure({ criteria, disclosed: [] }, error)
    throw error
  }
  await recorder.recordDisclosure({ criteria, disclosed: disclosed(found) })
  return answer(found, reply)
}

async function completeWrite (
  interaction: AnyWrite, recorders: Recorder[], time: RequestTime, reply: FastifyReply
) {
  const { attemptOf, act, disclosed, answer } = interaction
  const attempts = await recordAttempts(recorders, { attemptOf })
  let acting: Promise<unknown> | undefined
  let done
  try {
    const [attempt, other = attempt] = attempts as [string, string?]
    done = await time.limit(() => (acting = act(attempt, other))) as never
  } catch (error) {
    const doubt = (error: unknown) => { if (isUnknown(error)) recorders[0]!.doubt(attempts, recorders) }
    // A write that is still in progress may succeed
    const late = error instanceof OutOfTime && acting?.catch((error) => {
      doubt(error)
      throw error
    })
    if (acting && !late) doubt(error)
    await Promise.all(recorders.map((recorder, i) => {
      const content = { attemptOf: attempts[i]! }
      return late ? recorder.recordLater(late, content) : recorder.recordFailure(content, error)
    }))
    throw error
  }
  await Promise.all(recorders.map((recorder, i) => recorder.succeed(attempts[i]!)))
  const others = disclosed?.(done)
  if (others) await recorders[0]!.recordDisclosure({ attemptOf: attempts[0]!, disclosed: others })
  return answer(done, reply)
}

/**
 * Returns the ids of the records, one of each recorder.
 *
 * @throws {AuditUnavailable} nothing may be written; the records that are stored have failures too
 */
async function recordAttempts (recorders: Recorder[], content: Content) {
  const attempts = await Promise.allSettled(recorders.map((recorder) => recorder.recordAttempt(content)))
  const failed = attempts.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined
  await Promise.all(attempts.map((attempt, i) => {
    if (!failed || attempt.status === 'rejected') return undefined
    return recorders[i]!.recordFailure({ attemptOf: attempt.value }, failed.reason)
  }))
  if (failed) throw failed.reason
  return attempts.map((attempt) => (attempt as PromiseFulfilledResult<string>).value)
}

type Subject = Pick<AnyInteraction, 'id' | 'patientId'>

function isNotFound (error: unknown) {
  return (error as { statusCode?: number }).statusCode === 404
}

/** Whether the database may have applied a write that failed with this error. */
function isUnknown (error: unknown) {
  return !(error instanceof ClaimLost) && !isRefusal(error)
}
