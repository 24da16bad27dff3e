import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { SealedCursors, linkNextPage } from '#common/http/cursors.ts'
import { requireUuid } from '#common/http/formats.ts'
import { entityTag, notModified, precondition } from '#common/http/preconditions.ts'
import { InvalidCursor, InvalidPrecondition, invalidRequest } from '#common/http/problems.ts'
import type { SealingKeys } from '#common/secrets/sealing.ts'
import {
  FindingNotFound, FindingStale, IfMatchRequired, StateChangeRefused
} from '../errors.ts'
import type { Position } from '../queries/query.ts'
import type { Finding, FindingState } from '../review/documents.ts'
import type { Findings } from '../review/findings.ts'
import { problems, responses } from './queries.ts'
import { askerOf, type RecordAction, type RecordQuestion } from './questions.ts'
import { FindingPatch, FindingSearch, FindingView } from './review-schemas.ts'

const DEFAULT_LIMIT = 100
const PATH = '/audit/findings'
/** By state, the one that may follow. */
const NEXT: Record<FindingState, FindingState> =
  { new: 'under-review', 'under-review': 'closed', closed: 'under-review' }

interface FindingParts {
  findings: Findings
  keys: SealingKeys
  record: RecordQuestion
  act: RecordAction
}

const params = Type.Object({ findingId: Type.String({ minLength: 1, description: 'The id of the finding' }) })

/** The routes of the review list. Questions and changes are recorded before anything is read or written. */
export const findingRoutes: FastifyPluginAsyncTypebox<FindingParts> = async (app, parts) => {
  const { findings, keys, record, act } = parts

  app.get(PATH, {
    schema: {
      operationId: 'list-findings',
      summary: 'List findings',
      description: 'Returns what the rules found, newest first. Link refers to the next page.',
      querystring: FindingSearch,
      response: responses(Type.Array(FindingView)),
      problems: [...problems, InvalidCursor]
    },
    async handler (request, reply) {
      const { limit = DEFAULT_LIMIT, cursor, ...query } = request.query
      const cursors = new SealedCursors<Position>(
        keys, [request.headers['x-audit-actor'] ?? null, PATH, query]
      )
      const after = await cursors.open(cursor)
      const { patientId } = query
      await record(request, { operation: 'list-findings', patientId, criteria: Object.keys(query) })
      const page = await findings.page(lowerCased(query), limit, after)
      const last = page.findings.at(-1)
      if (page.more) {
        const next = cursors.seal({ date: last!.date.getTime(), id: last!._id })
        linkNextPage(reply, PATH, { ...query, limit }, next)
      }
      return page.findings.map(viewOf)
    }
  })

  app.get(`${PATH}/:findingId`, {
    schema: {
      operationId: 'load-finding',
      summary: 'Load a finding',
      description: 'Returns one finding and what reviewers made of it.',
      params,
      response: { ...responses(FindingView), 304: Type.Unsafe<unknown>(Type.Null()) },
      problems: [...problems, FindingNotFound]
    },
    async handler (request, reply) {
      const id = idOf(request.params)
      await record(request, { operation: 'load-finding', id })
      const found = await findings.find(id)
      if (!found) throw new FindingNotFound()
      reply.header('etag', entityTag(String(found.version)))
      if (notModified(request.headers, String(found.version))) return reply.code(304).send()
      return viewOf(found)
    }
  })

  app.patch(`${PATH}/:findingId`, {
    schema: {
      operationId: 'review-finding',
      summary: 'Change the state of a finding',
      description: 'Applies a merge patch (RFC 7396): new findings go under review, are closed from there, ' +
        'and are reopened by going under review again. Closing and reopening need a reason. If-Match is ' +
        'required.',
      params,
      body: FindingPatch,
      response: responses(FindingView),
      problems: [
        ...problems, InvalidPrecondition, FindingNotFound, StateChangeRefused, FindingStale, IfMatchRequired
      ]
    },
    handler: (request, reply) => review(request, reply, idOf(request.params), request.body)
  })

  async function review (request: FastifyRequest, reply: FastifyReply, id: string, patch: FindingPatch) {
    const condition = precondition(request.headers)
    if (!condition.ifMatch) throw new IfMatchRequired()
    if (patch.state === 'closed') requireReason(patch)
    const question = { operation: 'review-finding', id, criteria: Object.keys(patch) } as const
    const changed = await act(request, question, (auditId, date) => {
      const { actor, onBehalfOf } = askerOf(request)
      const change = { ...patch, by: actor ?? 'unknown', onBehalfOf, date, auditId }
      return findings.change(id, condition, change, ({ state }) => {
        if (NEXT[state] !== patch.state) throw new StateChangeRefused()
        if (state === 'closed') requireReason(patch)
      })
    })
    reply.header('etag', entityTag(String(changed.version)))
    return viewOf(changed)
  }
}

/** @throws {FindingNotFound} it is the id of nothing */
const idOf = ({ findingId }: { findingId: string }) => requireUuid(findingId, FindingNotFound)

function lowerCased ({ patientId, ...query }: Omit<FindingSearch, 'limit' | 'cursor'>) {
  return { ...query, ...(patientId && { patientId: patientId.toLowerCase() }) }
}

/** @throws {InvalidRequest} */
function requireReason ({ reason }: FindingPatch) {
  if (reason === undefined) throw invalidRequest('#/reason', 'is required')
}

/** A finding as it is returned. */
function viewOf ({ _id, rule, date, actor, onBehalfOf, patientId, records, count, state, history }: Finding) {
  return { id: _id, rule, date, actor, onBehalfOf, patientId, records, count, state, history }
}
