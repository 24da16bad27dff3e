import type { IncomingHttpHeaders } from 'node:http'
import { newSpanId, newTraceId, parseTraceparent } from '#common/telemetry/trace.ts'

/** W3C Trace Context, as it goes to the service. */
export interface Trace {
  id: string
  traceparent: string
  tracestate?: string
}

// https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values
const MEMBER = /^(?:[a-z0-9][\w\-*/]{0,255}|[a-z0-9][\w\-*/]{0,240}@[a-z][\w\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const MAX_MEMBERS = 32

/** The trace that a client's request belongs to, or a new one where it names none that is valid. */
export function traceOf ({ traceparent, tracestate }: IncomingHttpHeaders): Trace {
  const parent = parseTraceparent(traceparent)
  if (!parent) return startTrace()
  const trace: Trace = { id: parent.id, traceparent: traceparent as string }
  if (tracestate !== undefined && isValidState(String(tracestate))) trace.tracestate = String(tracestate)
  return trace
}

function startTrace (): Trace {
  const id = newTraceId()
  return { id, traceparent: `00-${id}-${newSpanId()}-01` }
}

function isValidState (state: string) {
  const members = state.split(',').map((member) => member.trim()).filter(Boolean)
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf('='))))
  return members.length > 0 && members.length <= MAX_MEMBERS && keys.size === members.length &&
    members.every((member) => MEMBER.test(member) && !/[A-Z]/.test(member.slice(0, member.indexOf('='))))
}
