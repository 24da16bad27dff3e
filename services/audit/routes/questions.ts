import type { FastifyRequest } from 'fastify'
import { callerOf } from '#common/http/caller.ts'
import type { Register } from '../register.ts'

/** What was asked for: the operation, the resource that the question names, and the names of its criteria. */
export interface Question {
  operation: 'search' | 'load' | 'access-log' | 'actor-summary' | 'proof' | 'statistics' | 'evidence' |
    'accounting' | 'list-findings' | 'load-finding' | 'list-watched-patients'
  id?: string
  patientId?: string
  criteria?: string[]
}

/** What an auditor changes, with the names of the properties. */
export interface Action extends Omit<Question, 'operation'> {
  operation: 'review-finding' | 'watch-patient' | 'unwatch-patient'
}

/** Stores who asks the register for what. */
export type RecordQuestion = (request: FastifyRequest, question: Question) => Promise<unknown>

/**
 * Stores who changes what, calls `change` with the id and date of this record, and stores whether it
 * succeeded.
 *
 * @throws what `change` throws
 */
export type RecordAction = <T>(
  request: FastifyRequest, action: Action, change: (auditId: string, date: Date) => Promise<T>
) => Promise<T>

/** Every question is recorded with `record` before anything is read for it. */
export function questionRecorder (register: Register): RecordQuestion {
  return (request, question) => register.append(entryOf(request, question), request.id)
}

/** Every change is recorded before it takes effect, and with its outcome afterwards. */
export function actionRecorder (register: Register): RecordAction {
  return async (request, action, change) => {
    const entry = entryOf(request, action)
    const { id, createdDate } = await register.append(entry, request.id)
    const end = (outcome: 'success' | 'failure') =>
      register.append({ ...entry, attemptOf: id, outcome }, request.id)
    let changed
    try {
      changed = await change(id, new Date(createdDate))
    } catch (error) {
      await end('failure').catch((err: unknown) => request.log.warn({ err }, UNRECORDED))
      throw error
    }
    // What was changed names the record of the attempt, so it can be told without the outcome
    await end('success').catch((err: unknown) => request.log.warn({ err }, UNRECORDED))
    return changed
  }
}

const UNRECORDED = 'cannot record the outcome of a change'

/** Who asks, as the gateway and the caller say. */
export function askerOf (request: FastifyRequest) {
  return { actor: field(request, 'x-audit-actor'), ...callerOf(request.headers) }
}

function entryOf (request: FastifyRequest, { criteria, ...resource }: Question | Action) {
  return {
    sourceSystemName: 'audit',
    resource: { type: 'audit-record', ...resource },
    clientAddress: field(request, 'x-audit-client-address'),
    requestId: field(request, 'x-audit-request-id'),
    ...askerOf(request),
    ...(criteria && { criteria })
  }
}

function field ({ headers }: FastifyRequest, name: string) {
  return (headers[name] as string | undefined) || undefined
}
