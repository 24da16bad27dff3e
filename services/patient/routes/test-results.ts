import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { read, write } from '../audited.ts'
import { InvalidCursor, PatientNotFound, TestNotFound, TestStale } from '../errors.ts'
import { createOnce, creationProblems } from '../idempotency.ts'
import { merge } from '../merge-patch.ts'
import { precondition } from '../preconditions.ts'
import { patientKey } from '../repositories/patients.ts'
import { storedTest, testKey, type TestResults } from '../repositories/test-results.ts'
import { NewTest, Test, TestPage, TestPatch, TestUpdate, type TestDetails } from '../schemas.ts'
import { answerCreated, answerLoaded, answerWith, disclosure, invalid, noContent, problemResponses, represent, sameAsPath } from './answers.ts'
import { Cursors, linkNext, sortOf } from './pages.ts'
import { known, patientId, type Parts } from './patients.ts'

const ofPatient = Type.Object({ patientId })
const params = Type.Object({ patientId, testId: Type.String({ description: 'The id of the test result, a UUID' }) })
const type = 'test'

export const testResultRoutes: FastifyPluginAsync<Parts & { tests: TestResults }> = async (app, { patients, tests, claims, keys }) => {
  app.audited({
    method: 'POST',
    url: '/patient/:patientId/tests',
    audit: { type, operation: 'create' },
    schema: {
      operationId: 'create-test',
      summary: 'Create a test result',
      description: 'Stores a test result of the patient and answers it with its id.',
      params: ofPatient,
      body: NewTest,
      response: { 201: Test, ...problemResponses },
      problems: [...creationProblems, PatientNotFound]
    },
    handler (request) {
      const patientId = known(request.params.patientId)
      if (patientId === undefined) throw invalid('patientId', 'must be a UUID')
      sameAsPath('patientId', request.body.patientId, patientId)
      // Looked up while the record is stored: it tells nobody anything, and what is found is looked up again after the insert
      const exists = patients.exists(patientKey(patientId))
      exists.catch(() => {})
      return createOnce(request, claims, keys, `/patient/${patientId}/tests`, {
        patientId,
        document: (id, audit, lastUpdated) => storedTest(patientId, id, request.body, audit, lastUpdated),
        async insert (test, sent) {
          if (!await exists) noPatient()
          await tests.insert(test, sent)
          // A deletion of the patient that went on meanwhile may have missed the new test
          if (await patients.exists(patientKey(patientId))) return
          await tests.removeAllOf(patientId)
          noPatient()
        },
        answer: (test, reply) => answerCreated(test, `/patient/${patientId}/tests/${test._id}`, reply)
      })
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/tests',
    audit: { type, operation: 'list' },
    schema: {
      operationId: 'load-tests',
      summary: 'Load the test results of a patient',
      description: 'Answers the test results of the patient, if there are any. Where more follows, Link names the next page.',
      params: ofPatient,
      querystring: TestPage,
      response: { 200: Type.Array(Test), ...problemResponses },
      problems: [PatientNotFound, InvalidCursor]
    },
    async handler (request) {
      const { query } = request
      const patientId = known(request.params.patientId)
      const path = `/patient/${patientId}/tests`
      const cursors = new Cursors(keys, request.headers['x-audit-actor'], path, query.sort)
      const after = await cursors.position(query.cursor)
      return read({
        patientId,
        async fetch () {
          const id = patientId ?? noPatient()
          const [page] = await Promise.all([tests.page({ _shardKey: id }, sortOf(query.sort), after, query.limit), requirePatient(id)])
          return page
        },
        disclosed: ({ documents }) => documents.map(disclosure),
        answer (page, reply) {
          linkNext(reply, path, query, page, cursors)
          return reply.send(page.documents.map(represent))
        }
      })
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/tests/:testId',
    audit: { type, operation: 'load' },
    schema: {
      operationId: 'load-test',
      summary: 'Load a test result',
      description: 'Answers a test result of the patient, or 304 where the client holds this version already.',
      params,
      response: { 200: Test, 304: noContent, ...problemResponses },
      problems: [PatientNotFound, TestNotFound]
    },
    handler (request) {
      const ids = idsOf(request.params)
      return read({
        ...ids,
        async fetch () {
          const { patientId, id } = requireIds(ids)
          const [test] = await Promise.all([tests.load(testKey(patientId, id)), requirePatient(patientId)])
          return test
        },
        disclosed: (test) => [disclosure(test)],
        answer: (test, reply) => answerLoaded(test, request, reply)
      })
    }
  })

  app.audited({
    method: 'PUT',
    url: '/patient/:patientId/tests/:testId',
    audit: { type, operation: 'update' },
    schema: {
      operationId: 'update-test',
      summary: 'Replace a test result',
      description: 'Replaces the whole test result: what the body leaves out is gone afterwards. id and lastUpdated may be sent as they were loaded.',
      params,
      body: TestUpdate,
      response: { 200: Test, ...problemResponses },
      problems: [PatientNotFound, TestNotFound, TestStale]
    },
    handler (request) {
      const { id: inBody, lastUpdated, ...details } = request.body
      sameAsPath('id', inBody, request.params.testId)
      sameAsPath('patientId', details.patientId, request.params.patientId)
      const ids = idsOf(request.params)
      return write({
        ...ids,
        async act (record) {
          const { patientId, id } = requireIds(ids)
          await requirePatient(patientId)
          const test = storedTest(patientId, id, details, record)
          await tests.replace(test, precondition(request.headers))
          return test
        },
        answer: answerWith
      })
    }
  })

  app.audited({
    method: 'PATCH',
    url: '/patient/:patientId/tests/:testId',
    audit: { type, operation: 'patch' },
    schema: {
      operationId: 'patch-test',
      summary: 'Change properties of a test result',
      description: 'Applies a JSON merge patch (RFC 7396): null takes a property away, and what the body leaves out stays.',
      params,
      body: TestPatch,
      response: { 200: Test, ...problemResponses },
      problems: [PatientNotFound, TestNotFound, TestStale]
    },
    handler (request) {
      const { id: inBody, patientId: ofBody, lastUpdated, ...patch } = request.body
      sameAsPath('id', inBody, request.params.testId)
      sameAsPath('patientId', ofBody, request.params.patientId)
      const ids = idsOf(request.params)
      return write({
        ...ids,
        async act (record) {
          const { patientId, id } = requireIds(ids)
          await requirePatient(patientId)
          return tests.change(testKey(patientId, id), record, precondition(request.headers),
            ({ _id, _shardKey, _audit, lastUpdated, ...details }) => storedTest(patientId, id, merge<TestDetails>(details, patch), record))
        },
        answer: answerWith
      })
    }
  })

  app.audited({
    method: 'DELETE',
    url: '/patient/:patientId/tests/:testId',
    audit: { type, operation: 'delete' },
    schema: {
      operationId: 'delete-test',
      summary: 'Delete a test result',
      description: 'Deletes a test result of the patient.',
      params,
      response: { 204: noContent, ...problemResponses },
      problems: [PatientNotFound, TestNotFound, TestStale]
    },
    handler (request) {
      const ids = idsOf(request.params)
      return write({
        ...ids,
        async act () {
          const { patientId, id } = requireIds(ids)
          await requirePatient(patientId)
          await tests.remove(testKey(patientId, id), precondition(request.headers))
        },
        answer: (_done, reply) => reply.code(204).send()
      })
    }
  })

  async function requirePatient (id: string) {
    if (!await patients.exists(patientKey(id))) noPatient()
  }
}

interface Ids {
  id?: string
  patientId?: string
}

function idsOf ({ patientId, testId }: { patientId: string, testId: string }): Ids {
  return { id: known(testId), patientId: known(patientId) }
}

function requireIds ({ id, patientId }: Ids) {
  return { patientId: patientId ?? noPatient(), id: id ?? noTest() }
}

function noPatient (): never {
  throw new PatientNotFound()
}

function noTest (): never {
  throw new TestNotFound()
}
