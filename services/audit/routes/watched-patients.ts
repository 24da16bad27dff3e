import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { requireUuid } from '#common/http/formats.ts'
import { invalidRequest, Problem } from '#common/http/problems.ts'
import { PatientNotWatched, RecordNotFound, TooManyWatched } from '../errors.ts'
import type { WatchedPatient } from '../review/documents.ts'
import type { WatchedPatients } from '../review/watched-patients.ts'
import { problems, responses } from './queries.ts'
import { askerOf, type RecordAction, type RecordQuestion } from './questions.ts'
import { WatchedPatientView } from './review-schemas.ts'

const PATH = '/audit/watched-patients'

interface WatchedPatientParts {
  watchedPatients: WatchedPatients
  record: RecordQuestion
  act: RecordAction
}

const params = Type.Object({
  patientId: Type.String({ minLength: 1, description: 'The id of the patient, a UUID' })
})

/** The routes that say of which patients each access is a finding. What they do is recorded before. */
export const watchedPatientRoutes: FastifyPluginAsyncTypebox<WatchedPatientParts> = async (app, parts) => {
  const { watchedPatients, record, act } = parts

  app.get(PATH, {
    schema: {
      operationId: 'list-watched-patients',
      summary: 'List the watched patients',
      description: 'Returns the patients of whom each access is a finding.',
      response: responses(Type.Array(WatchedPatientView)),
      problems
    },
    async handler (request) {
      await record(request, { operation: 'list-watched-patients' })
      return (await watchedPatients.list()).map(viewOf)
    }
  })

  app.put(`${PATH}/:patientId`, {
    schema: {
      operationId: 'watch-patient',
      summary: 'Watch a patient',
      description: 'Makes each later access to the data of a patient a finding. May be repeated.',
      params,
      response: responses(WatchedPatientView),
      problems: [...problems, RecordNotFound, TooManyWatched]
    },
    async handler (request) {
      const patientId = requireUuid(request.params.patientId, RecordNotFound)
      requireNoProperties(request.body)
      const watched = await act(request, { operation: 'watch-patient', patientId }, (_auditId, date) => {
        const { actor, onBehalfOf } = askerOf(request)
        return watchedPatients.add({ _id: patientId, date, by: actor, onBehalfOf })
      })
      return viewOf(watched)
    }
  })

  app.delete(`${PATH}/:patientId`, {
    schema: {
      operationId: 'unwatch-patient',
      summary: 'End watching a patient',
      description: 'Later accesses to the data of the patient are no findings. Earlier findings stay.',
      params,
      response: { 204: Type.Null(), '4xx': Problem, '5xx': Problem },
      problems: [...problems, PatientNotWatched]
    },
    async handler (request, reply) {
      const patientId = requireUuid(request.params.patientId, RecordNotFound)
      await act(request, { operation: 'unwatch-patient', patientId }, async () => {
        if (!await watchedPatients.remove(patientId)) throw new PatientNotWatched()
      })
      return reply.code(204).send(null)
    }
  })
}

/** @throws {InvalidRequest} nothing of a body would be stored, so only an empty one may be sent */
function requireNoProperties (body: unknown) {
  if (Object.keys(body ?? {}).length > 0) throw invalidRequest('#', 'must not have properties')
}

function viewOf ({ _id, date, by, onBehalfOf }: WatchedPatient) {
  return { patientId: _id, date, by, onBehalfOf }
}
