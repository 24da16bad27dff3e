import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

// A version after 00 may append fields
const TRACEPARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/

/**
 * The trace id, parent id and flags of a `traceparent` header; undefined where it is missing or malformed.
 * Source: W3C Trace Context, section 3.2.2.
 */
export function parseTraceparent (field: unknown) {
  const match = typeof field === 'string' ? TRACEPARENT.exec(field) : null
  if (!match || (match[1] === '00' && match[5] !== undefined)) return undefined
  return { id: match[2]!, parentId: match[3]!, flags: match[4]! }
}

/** The trace id of a request with these headers, or a new one. */
export function traceId (headers: IncomingHttpHeaders) {
  return parseTraceparent(headers.traceparent)?.id ?? newTraceId()
}

/** The headers that continue the trace of a request, whose `id` is the trace id, in another service. */
export function traceHeaders (
  { id, headers }: Pick<FastifyRequest, 'id' | 'headers'>
): Record<string, string> {
  const parent = parseTraceparent(headers.traceparent)
  const traceparent = `00-${id}-${newSpanId()}-${parent?.flags ?? '01'}`
  if (!parent || !headers.tracestate) return { traceparent }
  return { traceparent, tracestate: headers.tracestate as string }
}

// From the pool of random bytes that Node.js keeps for UUIDs: randomBytes for each id takes 9 % of a create
export const newTraceId = () => randomUUID().replaceAll('-', '')
export const newSpanId = () => newTraceId().slice(-16)
