import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { isUuid } from '#common/http/formats.ts'
import { read, write } from '../audited.ts'
import type { DataKeys } from '../data-key.ts'
import type { Deletion } from '../deletion.ts'
import { InvalidCursor, PatientNotFound, PatientStale } from '../errors.ts'
import { createOnce, creationProblems } from '../idempotency.ts'
import { merge } from '../merge-patch.ts'
import { precondition } from '../preconditions.ts'
import type { Claims } from '../repositories/claims.ts'
import { patientFilter, patientKey, storedPatient, type Patients } from '../repositories/patients.ts'
import { NewPatient, Patient, PatientCriteria, PatientPage, PatientPatch, PatientUpdate, type PatientDetails } from '../schemas.ts'
import { answerCreated, answerLoaded, answerWith, disclosure, noContent, problemResponses, represent, sameAsPath } from './answers.ts'
import { Cursors, linkNext, sortOf } from './pages.ts'

export interface Parts {
  patients: Patients
  claims: Claims
  deletion: Deletion
  keys: DataKeys
}

export const patientId = Type.String({ description: 'The id of the patient, a UUID' })
const params = Type.Object({ patientId })
const type = 'patient'

export const patientRoutes: FastifyPluginAsync<Parts> = async (app, { patients, claims, deletion, keys }) => {
  app.audited({
    method: 'POST',
    url: '/patient',
    audit: { type, operation: 'create' },
    schema: {
      operationId: 'create-patient',
      summary: 'Create a patient',
      description: 'Stores a patient and answers it with its id.',
      body: NewPatient,
      response: { 201: Patient, ...problemResponses },
      problems: creationProblems
    },
    handler: (request) => createOnce(request, claims, keys, '/patient', {
      document: (id, audit, lastUpdated) => storedPatient(id, request.body, audit, lastUpdated),
      insert: (document, sent) => patients.insert(document, sent),
      answer: (document, reply) => answerCreated(document, `/patient/${document._id}`, reply)
    })
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId',
    audit: { type, operation: 'load' },
    schema: {
      operationId: 'load-patient',
      summary: 'Load a patient',
      description: 'Answers a patient, or 304 where the client holds this version already.',
      params,
      response: { 200: Patient, 304: noContent, ...problemResponses },
      problems: [PatientNotFound]
    },
    handler (request) {
      const id = known(request.params.patientId)
      return read({
        id,
        fetch: async () => patients.load(patientKey(id ?? none())),
        disclosed: (patient) => [disclosure(patient)],
        answer: (patient, reply) => answerLoaded(patient, request, reply)
      })
    }
  })

  app.audited({
    method: 'PUT',
    url: '/patient/:patientId',
    audit: { type, operation: 'update' },
    schema: {
      operationId: 'update-patient',
      summary: 'Replace a patient',
      description: 'Replaces the whole patient: what the body leaves out is gone afterwards. id and lastUpdated may be sent as they were loaded.',
      params,
      body: PatientUpdate,
      response: { 200: Patient, ...problemResponses },
      problems: [PatientNotFound, PatientStale]
    },
    handler (request) {
      const { id: inBody, lastUpdated, ...details } = request.body
      sameAsPath('id', inBody, request.params.patientId)
      const id = known(request.params.patientId)
      return write({
        id,
        async act (record) {
          const patient = storedPatient(id ?? none(), details, record)
          await patients.replace(patient, precondition(request.headers))
          return patient
        },
        answer: answerWith
      })
    }
  })

  app.audited({
    method: 'PATCH',
    url: '/patient/:patientId',
    audit: { type, operation: 'patch' },
    schema: {
      operationId: 'patch-patient',
      summary: 'Change properties of a patient',
      description: 'Applies a JSON merge patch (RFC 7396): null takes a property away, and what the body leaves out stays.',
      params,
      body: PatientPatch,
      response: { 200: Patient, ...problemResponses },
      problems: [PatientNotFound, PatientStale]
    },
    handler (request) {
      const { id: inBody, lastUpdated, ...patch } = request.body
      sameAsPath('id', inBody, request.params.patientId)
      const id = known(request.params.patientId)
      return write({
        id,
        act: async (record) => patients.change(patientKey(id ?? none()), record, precondition(request.headers),
          ({ _id, _shardKey, _audit, _lastName, lastUpdated, ...details }) => storedPatient(_id, merge<PatientDetails>(details, patch), record)),
        answer: answerWith
      })
    }
  })

  app.audited({
    method: 'DELETE',
    url: '/patient/:patientId',
    audit: { type, operation: 'delete' },
    schema: {
      operationId: 'delete-patient',
      summary: 'Delete a patient',
      description: 'Deletes a patient with all test results.',
      params,
      response: { 204: noContent, ...problemResponses },
      problems: [PatientNotFound, PatientStale]
    },
    handler (request) {
      const id = known(request.params.patientId)
      return write({
        id,
        act: async (record) => deletion.remove(id ?? none(), record, precondition(request.headers)),
        answer: (_done, reply) => reply.code(204).send()
      })
    }
  })

  app.audited({
    method: 'POST',
    url: '/patient/search',
    audit: { type, operation: 'search' },
    schema: {
      operationId: 'search-patients',
      summary: 'Search patients',
      description: 'Answers the patients that match every criterion exactly; {} finds all. A range of dates of birth is inclusive, and its ends may be partial. Where more follows, Link names the next page: it holds for the same body and subscription.',
      body: PatientCriteria,
      querystring: PatientPage,
      response: { 200: Type.Array(Patient), ...problemResponses },
      problems: [InvalidCursor]
    },
    async handler (request) {
      const { body, query } = request
      const path = '/patient/search'
      const cursors = new Cursors(keys, request.headers['x-audit-actor'], path, query.sort, body)
      const after = await cursors.position(query.cursor)
      return read({
        criteria: Object.keys(body),
        fetch: () => patients.page(patientFilter(body), sortOf(query.sort), after, query.limit),
        disclosed: ({ documents }) => documents.map(disclosure),
        answer (page, reply) {
          linkNext(reply, path, query, page, cursors)
          return reply.send(page.documents.map(represent))
        }
      })
    }
  })
}

/** A path's id in the case it is stored in; nothing where no patient or test can have it. */
export function known (id: string) {
  return isUuid(id) ? id.toLowerCase() : undefined
}

function none (): never {
  throw new PatientNotFound()
}
