import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type TSchema, type TUnknown } from 'typebox'
import { InvalidCaller } from '#common/http/caller.ts'
import { requireUuid } from '#common/http/formats.ts'
import { InvalidCursor, Problem } from '#common/http/problems.ts'
import { invalidQuery, NotAcceptable, RecordNotFound, RegisterBusy } from '../errors.ts'
import { bundleOf } from '../formats/fhir.ts'
import { toJson } from '../formats/lines.ts'
import { onlyAbout } from '../queries/patients.ts'
import type { RecordQuery } from '../queries/query.ts'
import type { Records } from '../queries/records.ts'
import { ONE_TYPES, typeOf, type Answers } from './answers.ts'
import type { RecordQuestion } from './questions.ts'
import { AccessLogSearch, ActorSummary, RecordSearch, StoredAuditRecord, SummarySearch } from './schemas.ts'

const DAY_MS = 24 * 60 * 60 * 1_000

interface QueryParts {
  records: Records
  answers: Answers
  record: RecordQuestion
  /** The longest range of dates that a question may have. */
  maxDays: number
}

/** The responses of a route, whose types TypeScript does not check: they are what was stored, or streams. */
export function responses (schema?: TSchema): Record<string, TUnknown> {
  const schemas: Record<string, TSchema> = { ...(schema && { 200: schema }), '4xx': Problem, '5xx': Problem }
  return schemas as Record<string, TUnknown>
}

/** The other formats of the answer to a search. */
const contents = {
  'application/x-ndjson': { schema: { type: 'string' }, example: '{"id":"…"}\n' },
  'text/csv': { schema: { type: 'string' }, example: 'id,createdDate\r\n' },
  'application/fhir+json': {
    schema: { type: 'object', description: 'A Bundle of AuditEvents (FHIR R4, IHE BALP)' },
    example: { resourceType: 'Bundle', type: 'collection', entry: [] }
  }
}
export const text = (description: string) => Type.String({ minLength: 1, description })
export const problems = [InvalidCaller, RegisterBusy]

/** The routes that ask the register. Every question is recorded before anything is read for its answer. */
export const queryRoutes: FastifyPluginAsyncTypebox<QueryParts> = async (app, parts) => {
  const { records, answers, record, maxDays } = parts

  app.get('/audit', {
    schema: {
      operationId: 'search-records',
      summary: 'Search audit records',
      description: 'Returns the records that meet every criterion: at least from and to, or id, or ' +
        'operationId. JSON and FHIR are paged: Link refers to the next page. ' +
        'NDJSON and CSV have all records.',
      querystring: RecordSearch,
      response: responses(Type.Array(StoredAuditRecord)),
      contents,
      problems: [...problems, NotAcceptable, InvalidCursor]
    },
    async handler (request, reply) {
      const { from, to, sort, limit, cursor, ...criteria } = request.query
      const query = { ...criteria, ...rangeOf({ from, to }) }
      if (criteria.id === undefined && criteria.operationId === undefined) requireRange(query, maxDays)
      const answer = { query, path: '/audit', parameters: request.query }
      const send = await answers.prepare(request, reply, answer)
      const names = Object.keys({ ...(from && { from }), ...(to && { to }), ...criteria })
      await record(request, { operation: 'search', id: criteria.id, criteria: names })
      return send()
    }
  })

  app.get('/audit/:id', {
    schema: {
      operationId: 'load-record',
      summary: 'Load an audit record',
      description: 'Returns one record.',
      params: Type.Object({ id: text('The id of the record, a UUID') }),
      response: responses(StoredAuditRecord),
      problems: [...problems, NotAcceptable, RecordNotFound]
    },
    async handler (request, reply) {
      const type = typeOf(request, ONE_TYPES)
      const id = requireUuid(request.params.id, RecordNotFound)
      await record(request, { operation: 'load', id })
      const found = await records.find(id)
      if (!found) throw new RecordNotFound()
      const content = toJson(found)
      reply.type(`${type}; charset=utf-8`)
      return reply.send(type === 'application/json' ? content : bundleOf([content]))
    }
  })

  app.get('/patient/:patientId/access-log', {
    schema: {
      operationId: 'load-access-log',
      summary: 'Load the access log of a patient',
      description: 'Returns every record about a patient, disclosures in searches included, but without ' +
        'the other patients of a search. Paged or streamed as the search.',
      params: Type.Object({ patientId: text('The id of the patient, a UUID') }),
      querystring: AccessLogSearch,
      response: responses(Type.Array(StoredAuditRecord)),
      contents,
      problems: [...problems, NotAcceptable, RecordNotFound, InvalidCursor]
    },
    async handler (request, reply) {
      const patientId = requireUuid(request.params.patientId, RecordNotFound)
      const { from, to } = request.query
      const send = await answers.prepare(request, reply, {
        query: { id: patientId, ...rangeOf({ from, to }) },
        path: `/patient/${patientId}/access-log`,
        parameters: request.query,
        shorten: (found) => onlyAbout(patientId, found),
        patientId
      })
      await record(request, { operation: 'access-log', patientId })
      return send()
    }
  })

  app.get('/audit/actors/:actor', {
    schema: {
      operationId: 'load-actor-summary',
      summary: 'Summarise what an actor did',
      description: 'Counts the records of one subscription by day and operation, and its patients by day.',
      params: Type.Object({ actor: text('The subscription') }),
      querystring: SummarySearch,
      response: responses(ActorSummary),
      problems
    },
    async handler (request) {
      const { params: { actor }, query } = request
      const range = rangeOf(query)
      requireRange(range, maxDays)
      await record(request, { operation: 'actor-summary', id: actor, criteria: ['from', 'to'] })
      return { actor, ...query, days: await records.summary(actor, range.from!, range.to!) }
    }
  })
}

/** @throws {InvalidRequest} the range ends before it begins */
export function rangeOf ({ from, to }: { from?: string, to?: string }): Pick<RecordQuery, 'from' | 'to'> {
  const range = { ...(from && { from: Date.parse(from) }), ...(to && { to: Date.parse(to) }) }
  if (range.from! >= range.to!) throw invalidQuery('to', 'must be later than from')
  return range
}

/** @throws {InvalidRequest} the range is open or too long */
export function requireRange ({ from, to }: RecordQuery, maxDays: number) {
  const missing = from === undefined ? 'from' : to === undefined ? 'to' : undefined
  if (missing) throw invalidQuery(missing, 'is required unless id or operationId is sent')
  if (to! - from! > maxDays * DAY_MS) throw invalidQuery('to', `must be at most ${maxDays} days after from`)
}
