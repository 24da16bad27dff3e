import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Problem } from '#common/http/problems.ts'
import { exposed } from '../digits.ts'
import { invalid } from '../errors.ts'
import { entityTag, notModified } from '#common/http/preconditions.ts'
import type { Stored } from '../repositories/documents.ts'

export const problemResponses = { '4xx': Problem, '5xx': Problem }
export const noContent = Type.Null()

/** A stored document as it is sent: with its id, without the properties that begin with `_`. */
export function toResponse (document: Stored & { observations?: unknown }) {
  const sent: Record<string, unknown> = { id: document._id }
  for (const [name, value] of Object.entries(document)) if (!name.startsWith('_')) sent[name] = value
  // Only observations have numbers
  if (document.observations) sent.observations = exposed(document.observations)
  return sent
}

export const disclosure = ({ _id, _audit }: Stored) => ({ id: _id, version: _audit })

export function sendDocument (document: Stored, reply: FastifyReply) {
  return reply.header('etag', entityTag(document._audit)).send(toResponse(document))
}

export function sendCreated (document: Stored, location: string, reply: FastifyReply) {
  return sendDocument(document, reply.code(201).header('location', location))
}

/** Sends a document, or 304 if the client already has this version. */
export function sendLoaded (document: Stored, request: FastifyRequest, reply: FastifyReply) {
  if (!notModified(request.headers, document._audit)) return sendDocument(document, reply)
  return reply.code(304).header('etag', entityTag(document._audit)).send()
}

/** @throws {InvalidRequest} the id in the body is not that in the path */
export function requireSameAsPath (property: string, inBody: string | undefined, inPath: string) {
  if (inBody === undefined || inBody.toLowerCase() === inPath.toLowerCase()) return
  throw invalid(property, 'must be that of the path')
}
