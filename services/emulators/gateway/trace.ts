import type { IncomingHttpHeaders } from 'node:http'
import { newSpanId, newTraceId, parseTraceparent } from '#common/telemetry/trace.ts'

/** The W3C Trace Context that is sent to the service. */
export interface Trace {
  id: string
  traceparent: string
  tracestate?: string
}

// https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values
const KEY = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const MAX_MEMBERS = 32

/** The trace of a client's request, or a new one where its traceparent is missing or malformed. */
export function traceOf ({ traceparent, tracestate }: IncomingHttpHeaders): Trace {
  const parent = parseTraceparent(traceparent)
  if (!parent) {
    const id = newTraceId()
    return { id, traceparent: `00-${id}-${newSpanId()}-01` }
  }
  const trace: Trace = { id: parent.id, traceparent: traceparent as string }
  if (tracestate !== undefined && isValidState(String(tracestate))) trace.tracestate = String(tracestate)
  return trace
}

function isValidState (state: string) {
  const members = state.split(',').map((member) => member.trim()).filter(Boolean)
    .map((member) => member.split('='))
  const keys = new Set(members.map(([key]) => key))
  return members.length > 0 && members.length <= MAX_MEMBERS && keys.size === members.length &&
    members.every((pair) => pair.length === 2 && KEY.test(pair[0]!) && VALUE.test(pair[1]!))
}
