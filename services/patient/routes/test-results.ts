import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { read, write } from '../interactions.ts'
import {
  invalid, InvalidCursor, PatientNotFound, TestExists, TestNotFound, TestStale
} from '../errors.ts'
import { createOnce, creationProblems } from '../idempotency.ts'
import { exposed } from '../digits.ts'
import { merge } from '../merge-patch.ts'
import { precondition } from '#common/http/preconditions.ts'
import { InvalidPrecondition } from '#common/http/problems.ts'
import { detailsOf } from '../repositories/documents.ts'
import { patientKey } from '../repositories/patients.ts'
import {
  requireUniqueIds, seriesOf, storedTest, testFilter, testKey, type StoredTest, type TestResults
} from '../repositories/test-results.ts'
import type { Transfers } from '../repositories/transfers.ts'
import type { Versions } from '../repositories/versions.ts'
import { ObservationPage, TestPage, type TestCriteria } from '../schemas/pages.ts'
import {
  NewTest, ObservationOfTest, Test, TestPatch, TestUpdate, type TestDetails
} from '../schemas/test-result.ts'
import { idsOf, requireIds, storedId, throwPatientNotFound } from './ids.ts'
import { Cursors, linkNext, sent, sortOf, type PageQuery } from './pages.ts'
import { patientId, type Parts } from './patients.ts'
import {
  disclosure, noContent, problemResponses, requireSameAsPath, sendCreated, sendDocument, sendLoaded,
  toResponse
} from './responses.ts'

const ofPatient = Type.Object({ patientId })
export const testId = Type.String({ description: 'The id of the test result, a UUID' })
const params = Type.Object({ patientId, testId })
const type = 'test'

const CHANGE_PROBLEMS = [InvalidPrecondition, PatientNotFound, TestNotFound, TestStale, TestExists]

/** A list of what test results have, in the order of `sort`. */
interface Found {
  resource: 'tests' | 'observations'
  sort: string
  /** The criteria of the request, of which `filter` are those of test results. */
  criteria: object
  filter: TestCriteria
  /** What is sent of a test result. */
  items (test: StoredTest): unknown
}

type ListRequest = Pick<FastifyRequest, 'headers'> & { params: { patientId: string }, query: PageQuery }

interface TestResultParts extends Parts {
  tests: TestResults
  transfers: Transfers
  versions: Versions
}

export const testResultRoutes: FastifyPluginAsync<TestResultParts> = async (app, parts) => {
  const { patients, tests, transfers, versions, claims, keys, pageMemory } = parts
  app.audited({
    method: 'POST',
    url: '/patient/:patientId/tests',
    audit: { type, operation: 'create' },
    schema: {
      operationId: 'create-test',
      summary: 'Create a test result',
      description: 'Stores a test result of the patient and returns it with its id.',
      params: ofPatient,
      body: NewTest,
      response: { 201: Test, ...problemResponses },
      problems: [...creationProblems, PatientNotFound]
    },
    handler (request) {
      const patientId = storedId(request.params.patientId)
      if (patientId === undefined) throw invalid('patientId', 'must be a UUID')
      requireSameAsPath('patientId', request.body.patientId, patientId)
      requireUniqueIds(request.body.observations)
      // Read while the record is being stored, without disclosing it, and again after the insert
      const exists = patients.exists(patientKey(patientId))
      exists.catch(() => {})
      return createOnce(request, claims, keys, `/patient/${patientId}/tests`, {
        patientId,
        document: (id, audit, lastUpdated) => storedTest(patientId, id, request.body, audit, lastUpdated),
        async insert (test, sent, repeated) {
          if (!await exists) await patients.require(patientId)
          // Another request may have moved it away
          if (repeated && await transfers.find(patientId, test._id)) return
          await tests.insert(test, sent)
          if (await patients.exists(patientKey(patientId))) return
          // A deletion or merge of the patient at the same time may have missed the new test result. A merge
          // that did not miss it moves it to the other patient
          const isMissed = await tests.removeVersion(test)
          const isMoved = !isMissed && await patients.replacementOf(patientId) !== undefined
          if (!isMoved) await patients.throwMissing(patientKey(patientId))
        },
        answer: (test, reply) => sendCreated(test, `/patient/${patientId}/tests/${test._id}`, reply)
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
      description: 'Returns the test results of the patient. ' +
        'A page ends at limit or at about 4 MiB. If there is a next page, Link refers to it.',
      params: ofPatient,
      querystring: TestPage,
      response: { 200: Type.Array(Test), ...problemResponses },
      problems: [PatientNotFound, InvalidCursor]
    },
    handler (request, reply) {
      const { limit, sort, cursor, ...criteria } = request.query
      const found: Found = { resource: 'tests', sort, criteria, filter: criteria, items: toResponse }
      return listed(found, request, reply)
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/observations',
    audit: { type, operation: 'observations' },
    schema: {
      operationId: 'load-observations',
      summary: 'Load the observations of one code',
      description: 'Returns the observations and components of a code from all test results of the ' +
        'patient, newest test result first. A page ends at limit or at about 4 MiB of test results. ' +
        'If there is a next page, Link refers to it.',
      params: ofPatient,
      querystring: ObservationPage,
      response: { 200: Type.Array(ObservationOfTest), ...problemResponses },
      problems: [PatientNotFound, InvalidCursor]
    },
    handler (request, reply) {
      const { limit, cursor, ...criteria } = request.query
      const { code } = criteria
      const items = (test: StoredTest) => exposed(seriesOf(test, criteria))
      // Dates and statuses are those of each observation, not of its test result
      const found: Found = { resource: 'observations', sort: '-effective', criteria, filter: { code }, items }
      return listed(found, request, reply)
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/tests/:testId',
    audit: { type, operation: 'load' },
    schema: {
      operationId: 'load-test',
      summary: 'Load a test result',
      description: 'Returns a test result of the patient, or 304 if the client already has this version.',
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
          const [test] = await Promise.all([tests.find(testKey(patientId, id)), patients.require(patientId)])
          return test ?? tests.throwMissing(testKey(patientId, id))
        },
        disclosed: (test) => [disclosure(test)],
        answer: (test, reply) => sendLoaded(test, request, reply)
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
      description: 'Replaces the whole test result: properties that the body omits are removed. ' +
        'id and lastUpdated may be sent as they were loaded.',
      params,
      body: TestUpdate,
      response: { 200: Test, ...problemResponses },
      problems: CHANGE_PROBLEMS
    },
    handler (request) {
      const { id: inBody, lastUpdated, ...details } = request.body
      requireSameAsPath('id', inBody, request.params.testId)
      requireSameAsPath('patientId', details.patientId, request.params.patientId)
      requireUniqueIds(details.observations)
      const ids = idsOf(request.params)
      const condition = precondition(request.headers)
      return write({
        ...ids,
        async act (record) {
          const { patientId, id } = requireIds(ids)
          await patients.require(patientId)
          const test = storedTest(patientId, id, details, record)
          return tests.change(testKey(patientId, id), record, condition, () => test)
        },
        answer: sendDocument
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
      description: 'Applies a JSON merge patch (RFC 7396): null removes a property, ' +
        'and properties that the body omits are unchanged.',
      params,
      body: TestPatch,
      response: { 200: Test, ...problemResponses },
      problems: CHANGE_PROBLEMS
    },
    handler (request) {
      const { id: inBody, patientId: ofBody, lastUpdated, ...patch } = request.body
      requireSameAsPath('id', inBody, request.params.testId)
      requireSameAsPath('patientId', ofBody, request.params.patientId)
      requireUniqueIds(patch.observations ?? undefined)
      const ids = idsOf(request.params)
      const condition = precondition(request.headers)
      return write({
        ...ids,
        async act (record) {
          const { patientId, id } = requireIds(ids)
          await patients.require(patientId)
          return tests.change(testKey(patientId, id), record, condition, (test) => {
            return storedTest(patientId, id, merge(detailsOf<TestDetails>(test), patch), record)
          })
        },
        answer: sendDocument
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
      problems: CHANGE_PROBLEMS
    },
    handler (request) {
      const ids = idsOf(request.params)
      const condition = precondition(request.headers)
      return write({
        ...ids,
        async act () {
          const { patientId, id } = requireIds(ids)
          await patients.require(patientId)
          await tests.remove(testKey(patientId, id), condition)
          await versions.removeAllOf(patientId, id)
        },
        answer: (_done, reply) => reply.code(204).send()
      })
    }
  })

  /** The read of a page of test results. */
  async function listed (found: Found, { query, params, headers }: ListRequest, reply: FastifyReply) {
    const { resource, sort, criteria, filter, items } = found
    const patientId = storedId(params.patientId)
    const path = `/patient/${patientId}/${resource}`
    const cursors = new Cursors(keys, headers['x-audit-actor'], path, sort, criteria)
    const after = await cursors.position(query.cursor)
    return read({
      patientId,
      criteria: namesOf(criteria),
      async fetch () {
        const id = patientId ?? throwPatientNotFound()
        const readPage = () => tests.page(testFilter(id, filter), sortOf(sort), after, query.limit)
        const reading = pageMemory.hold(query.limit + 1, sent(reply), readPage)
        const [page] = await Promise.all([reading, patients.require(id)])
        return page
      },
      disclosed: ({ documents }) => documents.map(disclosure),
      answer (page, reply) {
        linkNext(reply, path, query, page, cursors)
        return reply.send(page.documents.flatMap(items))
      }
    })
  }
}

/** The names of the criteria that a query has; undefined if it has none. */
function namesOf (criteria: object) {
  const names = Object.keys(criteria)
  return names.length > 0 ? names : undefined
}
