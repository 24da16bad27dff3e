import { createInterface } from 'node:readline'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { isUuid } from '#common/http/formats.ts'
import { InvalidField, InvalidForm } from '../errors.ts'
import type { Answer } from '../gateway.ts'
import { BASE } from '../pages/layout.ts'
import { patientPage, refusedPatientPage, type PatientView } from '../pages/patient.ts'
import { dateIn, fieldProblems, parameter, toApiDate } from '../filters.ts'
import { timelineOf, type AuditRecord } from '../timeline.ts'
import { FILES, idIn, sendFile, sendPage, sessionIn, type ById, type Parts, type Query } from './parts.ts'

/** How many records one timeline shows. */
const MAX_RECORDS = 5_000
const DEFAULT_DAYS = 30
const MAX_DAYS = 366

/** The timeline of a patient, and its downloads. */
export const patientRoutes: FastifyPluginAsync<Parts> = async (app, { gateway }) => {
  app.get<Query>('/patients', async ({ query }, reply) => {
    const id = parameter(query, 'id').toLowerCase()
    if (!isUuid(id)) throw new InvalidForm('The id of a patient is a UUID')
    return reply.redirect(`${BASE}/patients/${id}`, 303)
  })

  app.get<ById>('/patients/:id', async (request, reply) => {
    const patientId = idIn(request.params)
    const session = sessionIn(request)
    try {
      return sendPage(reply, patientPage(session, await viewOf(request, patientId)))
    } catch (error) {
      const problems = fieldProblems(error, ['from', 'to', 'days'])
      const typed = (name: string) => parameter(request.query, name)
      const filter = { patientId, days: typed('days') || DEFAULT_DAYS, from: typed('from'), to: typed('to') }
      return sendPage(reply.code(400), refusedPatientPage(session, filter, problems))
    }
  })

  async function viewOf (request: FastifyRequest<Query>, patientId: string): Promise<PatientView> {
    const { query } = request
    const [from, to, days] = [dateIn(query, 'from'), dateIn(query, 'to'), daysIn(query)]
    const answer = await gateway.ask(request, sessionIn(request), `/patient/${patientId}/access-log`, {
      query: { from: toApiDate(from), to: toApiDate(to) }, accept: FILES.ndjson
    })
    const { records, cut } = await readRecords(answer)
    return { patientId, days, from, to, timeline: timelineOf(records, days), cut }
  }

  for (const [extension, accept] of Object.entries(FILES)) {
    app.get<ById>(`/patients/:id/access-log.${extension}`, async (request, reply) => {
      const patientId = idIn(request.params)
      const path = `/patient/${patientId}/access-log`
      const answer = await gateway.ask(request, sessionIn(request), path, { accept })
      return sendFile(reply, answer, `access-log-${patientId}.${extension}`)
    })
  }

  app.get<ById>('/patients/:id/accounting', async (request, reply) => {
    const patientId = idIn(request.params)
    const path = `/patient/${patientId}/accounting`
    const answer = await gateway.ask(request, sessionIn(request), path, { accept: 'application/zip' })
    return sendFile(reply, answer, `accounting-${patientId}.zip`)
  })
}

function daysIn (query: Record<string, unknown>) {
  const text = parameter(query, 'days')
  const days = text === '' ? DEFAULT_DAYS : Number(text)
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
    throw new InvalidField('days', `must be a whole number from 1 to ${MAX_DAYS}`)
  }
  return days
}

/** The first records of a stream of lines. */
async function readRecords ({ body }: Answer) {
  const records: AuditRecord[] = []
  for await (const line of createInterface({ input: body })) {
    if (records.length === MAX_RECORDS) {
      body.destroy()
      return { records, cut: true }
    }
    records.push(JSON.parse(line))
  }
  return { records, cut: false }
}
