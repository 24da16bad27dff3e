import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { isUuid } from '#common/http/formats.ts'
import { GatewayError, InvalidForm } from '../errors.ts'
import { STATES, type Finding } from '../findings.ts'
import { findingPage, findingsPage, type FindingFilter, type Refused } from '../pages/findings.ts'
import { BASE } from '../pages/layout.ts'
import { parameter } from '../filters.ts'
import {
  nextPage, orProblem, sendPage, sessionIn, type ById, type Form, type Parts, type Query
} from './parts.ts'

const PAGE = '100'

/** The review list and what reviewers do. */
export const findingRoutes: FastifyPluginAsync<Parts> = async (app, { gateway }) => {
  app.get<Query>('/findings', async (request, reply) => {
    const { query } = request
    const session = sessionIn(request)
    const filter: FindingFilter = {
      state: parameter(query, 'state'),
      rule: parameter(query, 'rule'),
      actor: parameter(query, 'actor'),
      patientId: parameter(query, 'patientId')
    }
    const question = { query: { ...filter, limit: PAGE, cursor: parameter(query, 'cursor') } }
    const [answer, watched] = await Promise.all([
      gateway.ask(request, session, '/audit/findings', question),
      orProblem(watchedPatients(request), 'The watched patients are not available now.')
    ])
    const findings = await answer.body.json() as Finding[]
    const cursor = nextPage(answer)
    const set = Object.entries(filter).filter(([, value]) => value)
    const next = cursor && `${BASE}/findings?${new URLSearchParams([...set, ['cursor', cursor]])}`
    return sendPage(reply, findingsPage(session, { filter, findings, watched, ...(next && { next }) }))
  })

  app.get<ById>('/findings/:id', (request, reply) => showFinding(request, reply, request.params.id))

  app.post<ById & Form>('/findings/:id', async (request, reply) => {
    const { id } = request.params
    const { state = '', reason = '', etag = '' } = request.body ?? {}
    if (!(STATES as readonly string[]).includes(state)) throw new InvalidForm('There is no such state')
    try {
      await gateway.text(request, sessionIn(request), pathOf(id), {
        method: 'PATCH',
        // One line, as the register stores reasons
        body: { state, ...(oneLine(reason) && { reason: oneLine(reason) }) },
        headers: { 'if-match': etag }
      })
    } catch (error) {
      // Somebody else has changed it, or the reason is too short: what is there now, and why
      if (!(error instanceof GatewayError) || ![400, 409, 412].includes(error.statusCode)) throw error
      return showFinding(request, reply.code(error.statusCode), id, { problem: problemOf(error), reason })
    }
    return reply.redirect(`${BASE}/findings/${encodeURIComponent(id)}`, 303)
  })

  app.post<Form>('/watched-patients', async (request, reply) => {
    const { id = '', watch = '' } = request.body ?? {}
    const patientId = id.trim().toLowerCase()
    if (!isUuid(patientId)) throw new InvalidForm('The id of a patient is a UUID')
    const method = watch === 'no' ? 'DELETE' : 'PUT'
    await gateway.text(request, sessionIn(request), `/audit/watched-patients/${patientId}`, { method })
    return reply.redirect(`${BASE}/findings`, 303)
  })

  async function watchedPatients (request: FastifyRequest) {
    const path = '/audit/watched-patients'
    const watched = await gateway.json<Array<{ patientId: string }>>(request, sessionIn(request), path)
    return watched.map(({ patientId }) => patientId)
  }

  async function showFinding (request: FastifyRequest, reply: FastifyReply, id: string, refused?: Refused) {
    const session = sessionIn(request)
    const { headers, body } = await gateway.ask(request, session, pathOf(id))
    const finding = await body.json() as Finding
    return sendPage(reply, findingPage(session, finding, String(headers.etag ?? ''), refused))
  }
}

const pathOf = (id: string) => `/audit/findings/${encodeURIComponent(id)}`

const oneLine = (text: string) => text.trim().replace(/\s+/g, ' ')

function problemOf ({ statusCode, detail }: GatewayError) {
  if (statusCode === 412) return 'Somebody else has changed this finding meanwhile. This is how it is now.'
  if (statusCode === 400) return 'The reason must have 10 to 500 characters, and no control characters.'
  return detail || 'The register refuses this change.'
}
