import { randomFillSync } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

// A version after 00 may append fields
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * The trace id, parent id and flags of a `traceparent` field; nothing where it is missing or malformed.
 * Source: W3C Trace Context, section 3.2.2.
 */
export function parseTraceparent (field: unknown) {
  const match = typeof field === 'string' ? TRACEPARENT.exec(field) : null
  if (!match || (match[1] === '00' && match[5] !== undefined)) return undefined
  return { id: match[2]!, parentId: match[3]!, flags: match[4]! }
}

/** The trace id that a request carries, or a new one. */
export function traceId (headers: IncomingHttpHeaders) {
  return parseTraceparent(headers.traceparent)?.id ?? newTraceId()
}

/** The headers that carry the operation of `request` on to another service. Its `id` is the trace id. */
export function traceHeaders ({ id, headers }: Pick<FastifyRequest, 'id' | 'headers'>): Record<string, string> {
  const parent = parseTraceparent(headers.traceparent)
  const traceparent = `00-${id}-${newSpanId()}-${parent?.flags ?? '01'}`
  return parent && headers.tracestate ? { traceparent, tracestate: headers.tracestate as string } : { traceparent }
}

export const newTraceId = () => randomHex(16)
export const newSpanId = () => randomHex(8)

// Filled for many ids at once: each fill is a system call
const random = Buffer.alloc(4_096)
let used = random.length

function randomHex (bytes: number) {
  if (used + bytes > random.length) {
    randomFillSync(random)
    used = 0
  }
  used += bytes
  return random.toString('hex', used - bytes, used)
}
