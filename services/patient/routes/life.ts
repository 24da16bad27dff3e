import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { invalid, PatientNotFound, TestNotFound, TransferInProgress } from '../errors.ts'
import { write } from '../interactions.ts'
import type { Merges } from '../life/merge.ts'
import type { Moves } from '../life/move.ts'
import type { Restore } from '../life/restore.ts'
import { MergeRequest, MoveRequest } from '../schemas/life.ts'
import { Patient } from '../schemas/patient.ts'
import { Test } from '../schemas/test-result.ts'
import { idsOf, requireIds, storedId, throwPatientNotFound } from './ids.ts'
import { patientId } from './patients.ts'
import { problemResponses, sendDocument } from './responses.ts'
import { testId } from './test-results.ts'

interface LifeParts {
  moves: Moves
  merges: Merges
  restore: Restore
}

export const lifeRoutes: FastifyPluginAsync<LifeParts> = async (app, { moves, merges, restore }) => {
  app.audited({
    method: 'POST',
    url: '/patient/:patientId/tests/:testId/move',
    audit: { type: 'test', operation: 'move' },
    schema: {
      operationId: 'move-test',
      summary: 'Move a test result to another patient',
      description: 'Moves a test result with its versions to the patient of the body, where it has the ' +
        'same id; Content-Location is its path there. A repeat has the same result.',
      params: Type.Object({ patientId, testId }),
      body: MoveRequest,
      response: { 200: Test, ...problemResponses },
      problems: [PatientNotFound, TestNotFound, TransferInProgress]
    },
    handler (request) {
      const ids = idsOf(request.params)
      const to = request.body.patientId.toLowerCase()
      if (ids.patientId === to) throw invalid('patientId', 'must be that of another patient')
      return write({
        ...ids,
        also: { id: ids.id, patientId: to },
        act: async (fromRecord, toRecord) => {
          const { patientId, id } = requireIds(ids)
          return moves.move(id, patientId, to, { from: fromRecord, to: toRecord })
        },
        answer: (test, reply) =>
          sendDocument(test, reply.header('content-location', `/patient/${to}/tests/${test._id}`))
      })
    }
  })

  app.audited({
    method: 'POST',
    url: '/patient/:patientId/merge',
    audit: { type: 'patient', operation: 'merge' },
    schema: {
      operationId: 'merge-patient',
      summary: 'Merge another patient into this one',
      description: 'Adds the identifiers, contacts, addresses, test results and versions of the patient ' +
        '`from`, which is then no longer found: replacedBy in the errors is the id of the patient that it ' +
        'was merged into. Test results may be moved after the response. A repeat has the same result.',
      params: Type.Object({ patientId }),
      body: MergeRequest,
      response: { 200: Patient, ...problemResponses },
      problems: [PatientNotFound, TransferInProgress]
    },
    handler (request) {
      const id = storedId(request.params.patientId)
      const from = request.body.from.toLowerCase()
      if (id === from) throw invalid('from', 'must be the id of another patient')
      return write({
        id,
        // Each record names the other patient too
        patientId: from,
        also: { id: from, patientId: id },
        act: async (toRecord, fromRecord) =>
          merges.merge(from, id ?? throwPatientNotFound(), { from: fromRecord, to: toRecord }),
        answer: sendDocument
      })
    }
  })

  app.audited({
    method: 'POST',
    url: '/patient/:patientId/restore',
    audit: { type: 'patient', operation: 'restore' },
    schema: {
      operationId: 'restore-patient',
      summary: 'Restore a deleted patient',
      description: 'Undoes the deletion of a patient with all test results and versions, while ' +
        'DELETION_GRACE_DAYS since then are not over.',
      params: Type.Object({ patientId }),
      response: { 200: Patient, ...problemResponses },
      problems: [PatientNotFound]
    },
    handler (request) {
      const id = storedId(request.params.patientId)
      return write({
        id,
        act: async (record) => restore.restore(id ?? throwPatientNotFound(), record),
        answer: sendDocument
      })
    }
  })
}
