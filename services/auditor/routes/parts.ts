import type { FastifyReply, FastifyRequest } from 'fastify'
import { requireUuid } from '#common/http/formats.ts'
import { NoteError, type VerifierKey } from '#common/transparency/notes.ts'
import { GatewayError, PageNotFound } from '../errors.ts'
import type { Answer, Gateway } from '../gateway.ts'
import type { Session, Sessions } from '../session.ts'

/** What the routes share. */
export interface Parts {
  gateway: Gateway
  sessions: Sessions
  /** Of the monitor, as a browser reaches it. */
  monitorUrl: string | undefined
  /** Of the witnesses whose cosignatures the pages check. */
  witnessKeys: VerifierKey[]
}

export type Query = { Querystring: Record<string, unknown> }
export type ById = Query & { Params: { id: string } }
export type Form = { Body: Record<string, string> | undefined }

/** The types in which records are downloaded, by the extensions of their files. */
export const FILES = { csv: 'text/csv', ndjson: 'application/x-ndjson' }

export function sendPage (reply: FastifyReply, page: string) {
  return reply.type('text/html; charset=utf-8').send(page)
}

/** The session of a request behind the hook that requires one. */
export function sessionIn ({ session }: FastifyRequest): Session {
  return session!
}

/** @throws {PageNotFound} it is not a UUID */
export function idIn ({ id }: ById['Params']) {
  return requireUuid(id, PageNotFound)
}

/** Streams an answer as a file. */
export function sendFile (reply: FastifyReply, { headers, body }: Answer, name: string) {
  reply.header('content-disposition', `attachment; filename="${name}"`)
  return reply.type(String(headers['content-type'] ?? 'application/octet-stream')).send(body)
}

/** The parameters of the next page in a `Link` header; undefined if there is none. */
export function nextPage ({ headers }: Answer) {
  const target = /<[^>?]*\?([^>]*)>; rel="next"/.exec(String(headers.link ?? ''))?.[1]
  return target === undefined ? undefined : new URLSearchParams(target).get('cursor') ?? undefined
}

/** What to say about a checkpoint or proof that is malformed, or has an invalid signature. */
export function distrust ({ message }: NoteError) {
  return `Do not rely on the register until this is explained: ${message}. Keep the downloads, and tell ` +
    'whoever runs the witness.'
}

/**
 * A part of a page that may be missing: what to say instead, where the gateway does not have it.
 *
 * @throws {GatewayError} the key is not accepted, or may not ask now
 */
export async function orProblem<T> (part: Promise<T>, problem: string): Promise<T | { problem: string }> {
  try {
    return await part
  } catch (error) {
    if (error instanceof NoteError) return { problem: distrust(error) }
    if (!(error instanceof GatewayError) || [401, 403, 429].includes(error.statusCode)) throw error
    return { problem }
  }
}
