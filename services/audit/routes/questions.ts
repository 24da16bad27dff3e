import type { FastifyRequest } from 'fastify'
import { callerOf } from '#common/http/caller.ts'
import type { Register } from '../register.ts'

/** What was asked for: the operation, the resource that the question names, and the names of its criteria. */
export interface Question {
  operation: 'search' | 'load' | 'access-log' | 'actor-summary' | 'proof' | 'statistics' | 'evidence' |
    'accounting'
  id?: string
  patientId?: string
  criteria?: string[]
}

/** Stores who asks the register for what. */
export type RecordQuestion = (request: FastifyRequest, question: Question) => Promise<unknown>

/** Every question is recorded with `record` before anything is read for it. */
export function questionRecorder (register: Register): RecordQuestion {
  return (request, { criteria, ...resource }) => register.append({
    sourceSystemName: 'audit',
    resource: { type: 'audit-record', ...resource },
    actor: field(request, 'x-audit-actor'),
    clientAddress: field(request, 'x-audit-client-address'),
    requestId: field(request, 'x-audit-request-id'),
    ...callerOf(request.headers),
    ...(criteria && { criteria })
  }, request.id)
}

function field ({ headers }: FastifyRequest, name: string) {
  return (headers[name] as string | undefined) || undefined
}
