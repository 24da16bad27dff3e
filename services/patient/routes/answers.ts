import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { InvalidRequest, Problem } from '#common/http/problems.ts'
import { entityTag, notModified, precondition } from '../preconditions.ts'
import type { Stored } from '../repositories/documents.ts'

export const problemResponses = { '4xx': Problem, '5xx': Problem }
export const noContent = Type.Null()

/** A stored document as the schema of the answer takes it; what begins with `_` is not in any schema. */
export const represent = <T extends Stored>(document: T) => ({ ...document, id: document._id })

export const disclosure = ({ _id, _audit }: Stored) => ({ id: _id, version: _audit })

export function answerWith (document: Stored, reply: FastifyReply) {
  return reply.header('etag', entityTag(document._audit)).send(represent(document))
}

export function answerCreated (document: Stored, location: string, reply: FastifyReply) {
  return answerWith(document, reply.code(201).header('location', location))
}

/** 304 where the client holds this version already. */
export function answerLoaded (document: Stored, request: FastifyRequest, reply: FastifyReply) {
  if (!notModified(precondition(request.headers), document._audit)) return answerWith(document, reply)
  return reply.code(304).header('etag', entityTag(document._audit)).send()
}

/** @throws {InvalidRequest} the property names another resource than the path */
export function sameAsPath (property: string, inBody: string | undefined, inPath: string) {
  if (inBody !== undefined && inBody.toLowerCase() !== inPath.toLowerCase()) throw invalid(property, 'must be that of the path')
}

export function invalid (property: string, message: string) {
  return Object.assign(new InvalidRequest(), { violations: [{ pointer: `#/${property}`, message }] })
}
