import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { stringify } from 'safe-stable-stringify'
import { withTimeout } from '#common/with-timeout.ts'
import { ClaimLost, write } from './interactions.ts'
import type { DataKey, DataKeys } from './data-key.ts'
import { IdempotencyKeyReused, InvalidIdempotencyKey, OutOfTime, RequestInProgress } from './errors.ts'
import { isAbandoned, IN_PROGRESS_MS, type Claim, type Claims } from './repositories/claims.ts'

// How long a repeat waits for the first request before the response that it is still in progress
const WAIT_MS = 2_000
const POLL_MS = 50
const FINISH_MS = 500
const YIELD_MS = 50

/** The errors of a creation, beside those of its body. */
export const creationProblems = [InvalidIdempotencyKey, IdempotencyKeyReused, RequestInProgress]

interface Creation<T> {
  patientId?: string
  /** The document to store, the same for a repeated body. */
  document (id: string, audit: string, lastUpdated: Date): T
  /**
   * Stores the document. With `sent` it may be stored already, and is then left as it is. `repeated` says
   * that an earlier request may have stored it, any time ago.
   */
  insert (document: T, sent: boolean, repeated: boolean): Promise<void>
  answer (document: T, reply: FastifyReply): unknown
}

/**
 * Creates once for each Idempotency-Key of a subscription and path, within 24 hours. A repeat with the same
 * body gets the first response again, and completes a creation that a crash interrupted.
 *
 * @throws {InvalidIdempotencyKey}
 */
export function createOnce<T> (
  request: FastifyRequest, claims: Claims, keys: DataKeys, path: string, creation: Creation<T>
) {
  const { patientId, document, insert, answer } = creation
  const sent = request.headers['idempotency-key'] as string | undefined
  if (sent !== undefined) return createOnceFor(sent, request, claims, keys, path, creation)
  const id = randomUUID()
  return write({
    id,
    patientId,
    async act (record) {
      const created = document(id, record, new Date())
      await insert(created, false, false)
      return created
    },
    answer
  })
}

async function createOnceFor<T> (
  sent: string, request: FastifyRequest, claims: Claims, keys: DataKeys, path: string, creation: Creation<T>
) {
  const { patientId, document, insert, answer } = creation
  if (!/^[\x21-\x7e]{1,255}$/.test(sent)) throw new InvalidIdempotencyKey()
  const scope = JSON.stringify([request.headers['x-audit-actor'], path, sent])
  const content = stringify(request.body)!
  const wanted = (key: DataKey) => ({ _id: key.mac(scope), body: key.mac(content) })
  /** The claim of this request under a version of the key, and whether it is one of the same body. */
  const find = async (versions: DataKey[]) => {
    const found = await Promise.all(versions.map(async (key) => {
      const { _id, body } = wanted(key)
      const claim = await claims.find(_id)
      return claim && { claim, sameBody: claim.body === body }
    }))
    return found.find(Boolean)
  }

  const complete = async (claim: Claim, repeated: boolean) => {
    const created = document(claim.id, claim.audit, claim.lastUpdated)
    if (claim.done) return created
    try {
      // Only this claim has the id, so a document with it was inserted by an earlier attempt
      await insert(created, true, repeated)
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) await claims.release(claim)
      throw error
    }
    // The document is stored. If this fails, a repeat finishes the claim
    await withTimeout(FINISH_MS, claims.finish(claim), () => new OutOfTime())
      .catch((err) => request.log.warn({ err }, 'claim not finished'))
    return created
  }

  const existing = await find(keys.validKeys())
  if (existing) {
    const { claim, sameBody } = existing
    return write({
      id: claim.id,
      patientId,
      attemptOf: claim.audit,
      async act () {
        if (!sameBody) throw new IdempotencyKeyReused()
        return complete(await settled(claims, claim), true)
      },
      answer
    })
  }

  const id = randomUUID()
  return write({
    id,
    patientId,
    async act (record) {
      const claim = await takeClaim(claims, keys, { scope, content, audit: record, id })
      if (!claim) throw new ClaimLost()
      return complete(claim, false)
    },
    answer
  })
}

/** What a claim is of. */
interface Wanted {
  scope: string
  content: string
  /** The id of the record of the attempt. */
  audit: string
  /** The id of the document to be created. */
  id: string
}

/**
 * The claim if this request has taken it; undefined if another request holds it.
 *
 * @throws {ClaimLost} another replica holds it under another version of the key
 */
export async function takeClaim (claims: Claims, keys: DataKeys, { scope, content, audit, id }: Wanted) {
  const key = keys.current()
  const claim = await claims.take({ _id: key.mac(scope), body: key.mac(content), audit, id })
  if (!claim) return undefined
  const others = keys.validKeys().filter((other) => other !== key)
  const found = await Promise.all(others.map((other) => claims.find(other.mac(scope))))
  // During a rotation, each replica that finds the claim of another releases its own
  if (found.some(Boolean)) {
    await claims.release(claim)
    await sleep(YIELD_MS * Math.random())
    throw new ClaimLost()
  }
  return claim
}

/**
 * The claim, once its first request is done or abandoned.
 *
 * @throws {ClaimLost} the claim was released
 * @throws {RequestInProgress}
 */
export async function settled (claims: Claims, claim: Claim) {
  const giveUp = performance.now() + WAIT_MS
  for (let current: Claim | null = claim; current; current = await claims.find(claim._id)) {
    if (current.done || isAbandoned(current)) return current
    if (performance.now() > giveUp) {
      throw Object.assign(new RequestInProgress(), { retryAfter: Math.ceil(IN_PROGRESS_MS / 1_000) })
    }
    await sleep(POLL_MS)
  }
  throw new ClaimLost()
}
