import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { NoteError } from '#common/transparency/notes.ts'
import { GatewayError } from '../errors.ts'
import { proofOf } from '../log.ts'
import { recordPage, type RecordView } from '../pages/record.ts'
import { pathOf, recordsPage, refusedSearchPage, type RecordsView } from '../pages/records.ts'
import {
  FILTERS, fieldProblems, filterOf, parameter, toQuery, typedFilter, unitOf, type RecordFilter,
  type Statistics
} from '../filters.ts'
import type { AuditRecord } from '../timeline.ts'
import { logKeys } from './integrity.ts'
import {
  FILES, distrust, idIn, nextPage, orProblem, sendFile, sendPage, sessionIn, type ById, type Parts, type Query
} from './parts.ts'

const PAGE = '100'

/** The search, its downloads, and single records with their proofs. */
export const recordRoutes: FastifyPluginAsync<Parts> = async (app, { gateway, monitorUrl, witnessKeys }) => {
  app.get<Query>('/records', async (request, reply) => {
    const session = sessionIn(request)
    try {
      return sendPage(reply, recordsPage(session, await search(request)))
    } catch (error) {
      const problems = fieldProblems(error, ['from', 'to', ...FILTERS])
      return sendPage(reply.code(400), refusedSearchPage(session, typedFilter(request.query), problems))
    }
  })

  async function search (request: FastifyRequest<Query>): Promise<RecordsView> {
    const { query } = request
    const session = sessionIn(request)
    const filter = filterOf(query)
    const cursor = parameter(query, 'cursor')
    const [answer, statistics] = await Promise.all([
      gateway.ask(request, session, '/audit', { query: { ...toQuery(filter), limit: PAGE, cursor } }),
      orProblem(statisticsOf(request, filter), 'The plots are not available now.')
    ])
    const records = await answer.body.json() as AuditRecord[]
    const following = nextPage(answer)
    const next = following && `${pathOf('/records', filter)}&${new URLSearchParams({ cursor: following })}`
    return { filter, records, statistics, ...(next && { next }) }
  }

  for (const [extension, accept] of Object.entries(FILES)) {
    app.get<Query>(`/records.${extension}`, async (request, reply) => {
      const query = toQuery(filterOf(request.query))
      const answer = await gateway.ask(request, sessionIn(request), '/audit', { query, accept })
      return sendFile(reply, answer, `records.${extension}`)
    })
  }

  app.get<ById>('/records/:id', async (request, reply) => {
    const id = idIn(request.params)
    const session = sessionIn(request)
    const [record, proof] = await Promise.all([
      gateway.json<AuditRecord>(request, session, `/audit/${id}`),
      proofOfRecord(request, id)
    ])
    const operation = monitorUrl && new URL(`/operations/${record.operationId}`, monitorUrl).href
    return sendPage(reply, recordPage(session, { record, proof, ...(operation && { operation }) }))
  })

  for (const [name, accept] of [['proof', 'text/plain'], ['proof.json', 'application/json']] as const) {
    app.get<ById>(`/records/:id/${name}`, async (request, reply) => {
      const id = idIn(request.params)
      const answer = await gateway.ask(request, sessionIn(request), `/audit/${id}/proof`, { accept })
      return sendFile(reply, answer, name === 'proof' ? `${id}.tlog-proof` : `${id}.json`)
    })
  }

  function statisticsOf (request: FastifyRequest, filter: RecordFilter) {
    const { from, to, actor, type, operation, outcome } = toQuery(filter)
    const query = { from, to, by: unitOf(filter), actor, type, operation, outcome }
    return gateway.json<Statistics>(request, sessionIn(request), '/audit/statistics', { query })
  }

  async function proofOfRecord (request: FastifyRequest, id: string): Promise<RecordView['proof']> {
    const session = sessionIn(request)
    try {
      const [proof, keys] = await Promise.all([
        gateway.text(request, session, `/audit/${id}/proof`, { accept: 'text/plain' }),
        logKeys(gateway, request, session)
      ])
      return proofOf(proof, [...keys.verifiers, ...witnessKeys])
    } catch (error) {
      if (error instanceof NoteError) return { missing: distrust(error) }
      if (!(error instanceof GatewayError) || error.statusCode !== 404) throw error
      return { missing: 'The record is not in the log yet. It is within a second or so: reload the page.' }
    }
  }
}
