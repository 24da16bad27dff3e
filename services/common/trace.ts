import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

// A version after 00 may append fields
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/

/**
 * The trace id and flags of a `traceparent` field; nothing where it is missing or malformed.
 * Source: W3C Trace Context, section 3.2.2.
 */
export function parseTraceparent (field: unknown) {
  const match = typeof field === 'string' ? TRACEPARENT.exec(field) : null
  if (!match || (match[1] === '00' && match[4] !== undefined)) return undefined
  return { id: match[2]!, flags: match[3]! }
}

/** The trace id that a request carries, or a new one. */
export function traceId (headers: IncomingHttpHeaders) {
  return parseTraceparent(headers.traceparent)?.id ?? randomBytes(16).toString('hex')
}

/** The headers that carry the operation of `request` on to another service. Its `id` is the trace id. */
export function traceHeaders ({ id, headers }: FastifyRequest): Record<string, string> {
  const parent = parseTraceparent(headers.traceparent)
  const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-${parent?.flags ?? '01'}`
  return parent && headers.tracestate ? { traceparent, tracestate: headers.tracestate as string } : { traceparent }
}
