import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { read, write } from '../interactions.ts'
import type { DataKeys } from '../data-key.ts'
import type { Deletion } from '../life/deletion.ts'
import {
  InvalidCursor, InvalidIfNoneExist, PatientExists, PatientNotFound, PatientStale,
  SeveralPatients
} from '../errors.ts'
import { createUnlessThere } from '../conditional-create.ts'
import { createOnce, creationProblems } from '../idempotency.ts'
import { merge } from '../merge-patch.ts'
import { precondition } from '#common/http/preconditions.ts'
import { InvalidPrecondition } from '#common/http/problems.ts'
import type { Claims } from '../repositories/claims.ts'
import type { PageMemory } from '../repositories/page-memory.ts'
import { detailsOf } from '../repositories/documents.ts'
import { patientKey, storedPatient, type Patients } from '../repositories/patients.ts'
import { PatientCriteria } from '../schemas/criteria.ts'
import { PatientPage } from '../schemas/pages.ts'
import { NewPatient, Patient, PatientPatch, PatientUpdate, type PatientDetails } from '../schemas/patient.ts'
import { patientFilter } from '../search/filter.ts'
import type { KeyMigration } from '../search/migration.ts'
import { storedId, throwPatientNotFound } from './ids.ts'
import {
  disclosure, noContent, problemResponses, requireSameAsPath, sendCreated, sendDocument, sendLoaded,
  toResponse
} from './responses.ts'
import { Cursors, linkNext, sent, sortOf } from './pages.ts'

export interface Parts {
  patients: Patients
  claims: Claims
  deletion: Deletion
  keys: DataKeys
  pageMemory: PageMemory
  migration: KeyMigration
}

const CHANGE_PROBLEMS = [InvalidPrecondition, PatientNotFound, PatientStale, PatientExists]

export const patientId = Type.String({ description: 'The id of the patient, a UUID' })
const params = Type.Object({ patientId })
/** No more patients are counted for one search. */
const MAX_COUNT = 10_000
const type = 'patient'

export const patientRoutes: FastifyPluginAsync<Parts> = async (app, parts) => {
  const { patients, claims, deletion, keys, pageMemory, migration } = parts
  const filterOf = (criteria: PatientCriteria) => patientFilter(criteria, patients.keys, migration.done)

  app.audited({
    method: 'POST',
    url: '/patient',
    audit: { type, operation: 'create' },
    schema: {
      operationId: 'create-patient',
      summary: 'Create a patient',
      description: 'Stores a patient and returns it with its id. With If-None-Exist, a patient that has ' +
        'the identifier already is returned instead, with 200.',
      body: NewPatient,
      response: { 200: Patient, 201: Patient, ...problemResponses },
      problems: [...creationProblems, InvalidIfNoneExist, SeveralPatients]
    },
    handler (request) {
      const ifNoneExist = request.headers['if-none-exist'] as string | undefined
      if (ifNoneExist !== undefined) {
        return createUnlessThere(ifNoneExist, request, claims, keys, patients, filterOf)
      }
      return createOnce(request, claims, keys, '/patient', {
        document: (id, audit, updated) => storedPatient(patients.keys, id, request.body, audit, updated),
        insert: (document, sent) => patients.insert(document, sent),
        answer: (document, reply) => sendCreated(document, `/patient/${document._id}`, reply)
      })
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId',
    audit: { type, operation: 'load' },
    schema: {
      operationId: 'load-patient',
      summary: 'Load a patient',
      description: 'Returns a patient, or 304 if the client already has this version.',
      params,
      response: { 200: Patient, 304: noContent, ...problemResponses },
      problems: [PatientNotFound]
    },
    handler (request) {
      const id = storedId(request.params.patientId)
      return read({
        id,
        fetch: async () => patients.load(patientKey(id ?? throwPatientNotFound())),
        disclosed: (patient) => [disclosure(patient)],
        answer: (patient, reply) => sendLoaded(patient, request, reply)
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
      description: 'Replaces the whole patient: properties that the body omits are removed. ' +
        'id and lastUpdated may be sent as they were loaded.',
      params,
      body: PatientUpdate,
      response: { 200: Patient, ...problemResponses },
      problems: CHANGE_PROBLEMS
    },
    handler (request) {
      const { id: inBody, lastUpdated, ...details } = request.body
      requireSameAsPath('id', inBody, request.params.patientId)
      const id = storedId(request.params.patientId)
      const condition = precondition(request.headers)
      return write({
        id,
        async act (record) {
          const key = patientKey(id ?? throwPatientNotFound())
          const patient = storedPatient(patients.keys, key._id, details, record)
          return patients.change(key, record, condition, () => patient)
        },
        answer: sendDocument
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
      description: 'Applies a JSON merge patch (RFC 7396): null removes a property, ' +
        'and properties that the body omits are unchanged.',
      params,
      body: PatientPatch,
      response: { 200: Patient, ...problemResponses },
      problems: CHANGE_PROBLEMS
    },
    handler (request) {
      const { id: inBody, lastUpdated, ...patch } = request.body
      requireSameAsPath('id', inBody, request.params.patientId)
      const id = storedId(request.params.patientId)
      const condition = precondition(request.headers)
      return write({
        id,
        async act (record) {
          const key = patientKey(id ?? throwPatientNotFound())
          return patients.change(key, record, condition, (patient) => {
            const details = merge(detailsOf<PatientDetails>(patient), patch)
            return storedPatient(patients.keys, patient._id, details, record)
          })
        },
        answer: sendDocument
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
      problems: CHANGE_PROBLEMS
    },
    handler (request) {
      const id = storedId(request.params.patientId)
      const condition = precondition(request.headers)
      return write({
        id,
        act: async (record) => deletion.remove(id ?? throwPatientNotFound(), record, condition),
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
      description: 'Returns the patients that match every criterion; {} finds all. Case, accents, ' +
        'hyphens, apostrophes and white space make no difference, unless match is exact. ' +
        'A range of dates of birth is inclusive. Its ends and the dates may be partial: they match if they ' +
        'overlap. With Prefer: count=exact, Total-Count has the number of patients up to 10,000. ' +
        'A page ends at limit or at about 4 MiB. ' +
        'If there is a next page, Link refers to it; it requires the same body and subscription.',
      body: PatientCriteria,
      querystring: PatientPage,
      response: { 200: Type.Array(Patient), ...problemResponses },
      problems: [InvalidCursor]
    },
    async handler (request, reply) {
      const { body, query } = request
      const { sort, limit } = query
      const path = '/patient/search'
      const cursors = new Cursors(keys, request.headers['x-audit-actor'], path, sort, body)
      const after = await cursors.position(query.cursor)
      const filter = filterOf(body)
      const counted = /(?:^|[,;\s])count=exact(?:$|[,;\s])/i.test(String(request.headers.prefer))
      return read({
        criteria: [...Object.keys(body), ...(counted ? ['count'] : [])],
        async fetch () {
          const readPage = () => patients.page(filter, sortOf(sort), after, limit)
          const [page, count] = await Promise.all([
            pageMemory.hold(limit + 1, sent(reply), readPage),
            counted ? patients.count(filter, MAX_COUNT) : undefined
          ])
          return { ...page, count }
        },
        disclosed: ({ documents }) => documents.map(disclosure),
        answer (page, reply) {
          linkNext(reply, path, query, page, cursors)
          if (page.count !== undefined) {
            reply.header('total-count', page.count).header('preference-applied', 'count=exact')
          }
          return reply.send(page.documents.map(toResponse))
        }
      })
    }
  })
}
