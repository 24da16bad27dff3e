import { STATUS_CODES } from 'node:http'
import type { FastifyError } from '@fastify/error'
import {
  BodyTooLarge, DatabaseUnavailable, Defect, EncodedBody, InvalidBody, InvalidRequest, KeysUnavailable
} from '#common/http/problems.ts'
import { referTo } from './schemas.ts'

export type ErrorClass = new () => FastifyError

export interface Response {
  description: string
  content: Record<string, object>
}

const DESCRIPTIONS: Record<string, string> = {
  200: 'Done',
  201: 'Stored',
  204: 'Deleted',
  304: 'The client already has this version'
}

/** The responses of a route without those of errors, from the schemas of its responses. */
export function successes (
  response: Record<string, object>, schemas: Record<string, object>, contents: Record<string, object> = {}
) {
  const statuses = Object.entries(response).filter(([status]) => /^\d+$/.test(status))
  // Routes that send no JSON have no schema of it
  if (statuses.length === 0) return { 200: { description: DESCRIPTIONS[200], content: contents } }
  return Object.fromEntries(statuses.map(([status, schema]) => {
    const description = DESCRIPTIONS[status]
    if ('type' in schema && schema.type === 'null') return [status, { type: 'null', description }]
    const json = { schema: referTo(schema, schemas) }
    return [status, { description, content: { 'application/json': json, ...contents } }]
  }))
}

/** The errors that every service has for a route with a body or a query. */
export function sharedProblems (hasBody: boolean, hasQuery: boolean): ErrorClass[] {
  return [
    ...(hasBody ? [InvalidBody, BodyTooLarge, EncodedBody] : []),
    ...(hasBody || hasQuery ? [InvalidRequest] : []),
    KeysUnavailable, DatabaseUnavailable, Defect
  ]
}

/** The responses of `problems`, by status, together with those of `others`. */
export function failures (problems: ErrorClass[], others: Record<string, Response>) {
  const byStatus = Map.groupBy(problems.map((Problem) => new Problem()), ({ statusCode }) => statusCode!)
  const responses = { ...others }
  for (const [status, errors] of byStatus) {
    const { description, content } = problemResponse(status, errors)
    const other = others[status]
    responses[status] = {
      description: other ? `${description}; ${other.description}` : description,
      content: { ...content, ...other?.content }
    }
  }
  return responses
}

/** The message of an error, of which some part, or all, is known only with a request. */
function messageOf ({ message }: FastifyError) {
  return message === '%s' ? 'A header cannot be read' : message.replace('%s', '…')
}

function problemResponse (status: number, errors: FastifyError[]): Response {
  const { code } = errors[0]!
  const example = {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: messageOf(errors[0]!),
    instance: 'urn:uuid:7c1d6a51-6a4e-4f3c-8a55-0f5b7d9f2e10',
    code,
    traceId: '0af7651916cd43dd8448eb211c80319c'
  }
  return {
    description: errors.map((error) => `${error.code}: ${messageOf(error)}`).join('; '),
    content: { 'application/problem+json': { schema: { $ref: 'Problem#' }, example } }
  }
}
