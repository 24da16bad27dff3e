import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import createError from '@fastify/error'
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { purposesOfUse, purposeViolation, type PurposeOfUse } from '../purpose-of-use.ts'

/** On whose behalf and why a system calls, as its requests say it. */
export interface Caller {
  onBehalfOf?: string
  purpose?: PurposeOfUse
  reason?: string
}

export const CALLER_HEADERS = ['x-on-behalf-of', 'x-purpose-of-use', 'x-purpose-reason'] as const

export const InvalidCaller = createError<[string]>('INVALID_CALLER', '%s', 400)

export const ON_BEHALF_OF = '^[A-Za-z0-9._@:-]{1,128}$'
/** 10 to 200 characters without control characters, the first and the last one no spaces. */
export const REASON = '^[^\\s\\p{Cc}][^\\p{Cc}]{8,198}[^\\s\\p{Cc}]$'

const onBehalfOfPattern = new RegExp(ON_BEHALF_OF)
const reasonPattern = new RegExp(REASON, 'u')
const purposes = new Set<string>(purposesOfUse)

/**
 * The caller that the headers X-On-Behalf-Of, X-Purpose-Of-Use and X-Purpose-Reason name; without them, an
 * empty one. The reason is in UTF-8.
 *
 * @throws {InvalidCaller} with the name of the header, and never with its value
 */
export function callerOf (headers: IncomingHttpHeaders): Caller {
  const onBehalfOf = headers['x-on-behalf-of'] as string | undefined
  const purpose = headers['x-purpose-of-use'] as PurposeOfUse | undefined
  const reason = headers['x-purpose-reason'] as string | undefined
  if (onBehalfOf === undefined && purpose === undefined && reason === undefined) return {}
  if (onBehalfOf !== undefined && !onBehalfOfPattern.test(onBehalfOf)) {
    throw new InvalidCaller('X-On-Behalf-Of must be 1 to 128 letters, digits or characters of ._@:-')
  }
  if (purpose !== undefined && !purposes.has(purpose)) {
    throw new InvalidCaller('X-Purpose-Of-Use must be one code of the HL7 v3 value set PurposeOfUse')
  }
  const caller = { onBehalfOf, purpose, reason: reason === undefined ? undefined : decodeReason(reason) }
  const violation = purposeViolation(caller)
  if (violation === 'no reason') {
    throw new InvalidCaller('X-Purpose-Of-Use needs X-Purpose-Reason if it is ETREAT or BTG')
  }
  if (violation) throw new InvalidCaller('X-Purpose-Reason needs X-Purpose-Of-Use')
  return caller
}

/** A hook that refuses requests with malformed headers of the caller. */
export function checkCaller (
  { headers }: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction
) {
  try {
    callerOf(headers)
  } catch (error) {
    return done(error as Error)
  }
  done()
}

/** Node.js decodes headers as latin1. */
function decodeReason (header: string) {
  const bytes = Buffer.from(header, 'latin1')
  const reason = bytes.toString()
  if (!isUtf8(bytes) || !reasonPattern.test(reason)) {
    throw new InvalidCaller('X-Purpose-Reason must be 10 to 200 characters in UTF-8, no control characters')
  }
  return reason
}
