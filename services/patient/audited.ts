import { randomUUIDv7 } from 'node:crypto'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods,
  RawRequestDefaultExpression, RawServerDefault, RouteGenericInterface, RouteHandlerMethod
} from 'fastify'
import fp from 'fastify-plugin'
import { startDeadline } from '#common/database.ts'
import { STARTING_MS, withTimeout } from '#common/with-timeout.ts'
import type { AuditClient, AuditEntry } from './audit-client.ts'
import { OutOfTime } from './errors.ts'
import { ClaimLost, type AnyInteraction, type AnyRead, type AnyWrite } from './interactions.ts'
import type { Attempt, Heartbeat } from './reconciler/heartbeat.ts'
import { UnrecordedFailures } from './unrecorded-failures.ts'

type TypedRequest<S extends FastifySchema> =
  FastifyRequest<RouteGenericInterface, RawServerDefault, RawRequestDefaultExpression, S, TypeBoxTypeProvider>

export interface AuditedRoute<S extends FastifySchema> {
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

// Callers get a response within 5 s. No work on the database starts so late that it could end after that, and
// the last part of the time is for the record of a failure. All in ms since the start of the request.
const RECORDED_BY = 2_500
const START_BY = 3_500
const DONE_BY = 4_500
const ANSWERED_BY = 4_900

/** The time that a record takes at the least, and at the most while the audit service is not to blame. */
const MIN_RECORD_MS = 50
const MAX_RECORD_MS = 1_000

/**
 * Makes `app.audited` the only way to add routes to its scope: any other route fails the start.
 * Only this module orders record and write, and record and response.
 */
export const audited = fp<{ audit: AuditClient, heartbeat: Heartbeat }>(async (app, { audit, heartbeat }) => {
  const handlers = new WeakSet<RouteHandlerMethod>()
  const failures = new UnrecordedFailures(audit, app.log)
  const parts = { audit, failures, heartbeat }
  app.addHook('onClose', () => failures.close())

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
    const failures = recorders.map((recorder, i) => {
      const content = { attemptOf: attempts[i]! }
      // A write that is still in progress may succeed
      if (error instanceof OutOfTime && acting) return recorder.recordLater(acting, content)
      return recorder.recordFailure(content, error)
    })
    await Promise.all(failures)
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

/** The time limits of one request. */
class RequestTime {
  readonly #arrived: number
  #started = performance.now()

  constructor (reply: FastifyReply) {
    this.#arrived = this.#started - reply.elapsedTime
  }

  /** The remaining ms until `ms` after the start. */
  left (ms: number) {
    return this.#started + ms - performance.now()
  }

  /** The remaining ms for a call to a service that is starting. */
  get leftToStart () {
    return this.#arrived + STARTING_MS - performance.now()
  }

  /** Resets the start: the start of a service does not count against the request. */
  restart () {
    this.#started = performance.now()
  }

  /** @throws {OutOfTime} `work` is not done in time; it continues, but starts no more database commands */
  limit<T> (work: () => T | Promise<T>): T | Promise<T> {
    const result = startDeadline.run(this.#started + START_BY, work)
    return result instanceof Promise ? withTimeout(this.left(DONE_BY), result, () => new OutOfTime()) : result
  }
}

type Subject = Pick<AnyInteraction, 'id' | 'patientId'>
type Content = Omit<AuditEntry, 'resource' | 'outcome'>

interface RecorderParts {
  audit: AuditClient
  failures: UnrecordedFailures
  heartbeat: Heartbeat
}

/** Records one interaction. A failure is recorded after each record that may not be stored in time. */
class Recorder {
  readonly time: RequestTime
  #parts: RecorderParts
  #entry: AuditEntry
  #request: FastifyRequest
  #attempt: Attempt | undefined

  constructor (parts: RecorderParts, time: RequestTime, entry: AuditEntry, request: FastifyRequest) {
    this.#parts = parts
    this.time = time
    this.#entry = entry
    this.#request = request
  }

  /** @throws {AuditUnavailable} nothing may be disclosed */
  async recordDisclosure (content: Content) {
    await this.#recordOrFail({ ...this.#entry, ...content }, ANSWERED_BY, { disclosed: [] })
  }

  /**
   * Returns the id of the record.
   *
   * @throws {AuditUnavailable | DatabaseUnavailable} nothing may be written
   */
  async recordAttempt (content: Content) {
    const attempt = this.#parts.heartbeat.begin()
    this.#attempt = attempt instanceof Promise ? await attempt : attempt
    const { replica } = this.#attempt
    return this.#recordOrFail({ ...this.#entry, ...content, replica }, RECORDED_BY)
  }

  /**
   * Ends the attempt `attemptOf`, which has succeeded. A record says so only where another process may have
   * recorded a failure, as it took this one for ended.
   *
   * @throws {AuditUnavailable} the record is stored later
   */
  async succeed (attemptOf: string) {
    if (this.#parts.heartbeat.isHeld(this.#attempt!)) return this.#end()
    await this.#recordOrAdd({ ...this.#entry, attemptOf, outcome: 'success' })
  }

  /**
   * Records that the interaction failed with `error`.
   *
   * @throws {AuditUnavailable} the record is stored later, so the error must not disclose anything yet
   */
  async recordFailure (content: Content, error: unknown) {
    try {
      await this.#recordOrAdd(this.#failure(content))
    } catch (unrecorded) {
      if (error instanceof ClaimLost || isRefusal(error)) throw unrecorded
    }
  }

  /** Records the outcome of `act`, which is not known yet, after the response. */
  recordLater (act: Promise<unknown>, content: Content & { attemptOf: string }) {
    const { failures } = this.#parts
    const succeed = () => this.succeed(content.attemptOf).catch(() => {})
    failures.waitFor(act.then(succeed, () => this.#add(randomUUIDv7(), this.#failure(content))))
  }

  /** Stores an outcome later if it cannot be stored now. */
  async #recordOrAdd (outcome: AuditEntry) {
    const id = randomUUIDv7()
    try {
      await this.#record(id, outcome, ANSWERED_BY)
    } catch (error) {
      this.#add(id, outcome)
      throw error
    }
    this.#end()
  }

  #add (id: string, outcome: AuditEntry) {
    this.#parts.failures.add(id, outcome, this.#request, () => this.#end())
  }

  async #recordOrFail (entry: AuditEntry, by: number, failure: Content = {}) {
    const id = randomUUIDv7()
    try {
      await this.#record(id, entry, by)
    } catch (error) {
      // The record may still be stored, unless it was not sent
      if (error instanceof OutOfTime && !error.cause) this.#end()
      else this.#add(randomUUIDv7(), this.#failure({ ...failure, attemptOf: id }))
      throw error
    }
    return id
  }

  async #record (id: string, entry: AuditEntry, by: number) {
    const { audit } = this.#parts
    const starting = audit.mayBeStarting
    const ms = starting ? this.time.leftToStart : this.time.left(by)
    // The audit service is not to blame for what was late before
    if (ms < MIN_RECORD_MS) throw new OutOfTime()
    try {
      await audit.record(id, entry, this.#request, ms)
    } catch (cause) {
      throw ms < MAX_RECORD_MS ? Object.assign(new OutOfTime(), { cause }) : cause
    }
    if (starting) this.time.restart()
  }

  #end () {
    if (this.#attempt) this.#parts.heartbeat.end(this.#attempt)
  }

  #failure (content: Content): AuditEntry {
    return { ...this.#entry, ...content, outcome: 'failure' }
  }
}

function isNotFound (error: unknown) {
  return (error as { statusCode?: number }).statusCode === 404
}

/** Whether the error depends on stored data, so that its response discloses something. */
function isRefusal (error: unknown) {
  const { statusCode = 500 } = error as { statusCode?: number }
  return statusCode < 500
}
