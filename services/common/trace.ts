import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-|$)/

/**
 * The trace id that a request carries, or a new one.
 * Source: W3C Trace Context, section 3.2.
 */
export function traceId (headers: IncomingHttpHeaders) {
  return TRACEPARENT.exec(headers.traceparent as string)?.[1] ?? randomBytes(16).toString('hex')
}

/** The headers that carry the operation of `request` on to another service. Its `id` is the trace id. */
export function traceHeaders ({ id, headers }: FastifyRequest): Record<string, string> {
  const flags = TRACEPARENT.exec(headers.traceparent as string)?.[2] ?? '01'
  const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-${flags}`
  return headers.tracestate ? { traceparent, tracestate: headers.tracestate as string } : { traceparent }
}
