import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { DataKeys } from '../data-key.ts'
import { InvalidCursor, PatientNotFound, TestNotFound, VersionNotFound } from '../errors.ts'
import { read } from '../interactions.ts'
import type { Key, Stored } from '../repositories/documents.ts'
import { patientKey, type Patients } from '../repositories/patients.ts'
import { testKey, type TestResults } from '../repositories/test-results.ts'
import { versionKey, type StoredVersion, type Versions } from '../repositories/versions.ts'
import { Version } from '../schemas/life.ts'
import { VersionPage } from '../schemas/pages.ts'
import { Patient } from '../schemas/patient.ts'
import { Test } from '../schemas/test-result.ts'
import { idsOf, requireIds, storedId, throwPatientNotFound, type Ids } from './ids.ts'
import { Cursors, linkNext, type PageQuery } from './pages.ts'
import { patientId } from './patients.ts'
import { disclosure, noContent, problemResponses, sendLoaded } from './responses.ts'
import { testId } from './test-results.ts'

interface VersionParts {
  patients: Patients
  tests: TestResults
  versions: Versions
  keys: DataKeys
}

const version = Type.String({ description: 'A version, which is an ETag without its quotes' })
const SORT = '-replaced'

export const versionRoutes: FastifyPluginAsync<VersionParts> = async (app, parts) => {
  const { patients, tests, versions, keys } = parts

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/versions',
    audit: { type: 'patient', operation: 'list-versions' },
    schema: {
      operationId: 'load-patient-versions',
      summary: 'List the earlier versions of a patient',
      description: 'Returns the versions that changes replaced, newest first, also those of merged ' +
        'patients. If there is a next page, Link refers to it.',
      params: Type.Object({ patientId }),
      querystring: VersionPage,
      response: { 200: Type.Array(Version), ...problemResponses },
      problems: [PatientNotFound, InvalidCursor]
    },
    handler (request) {
      const id = storedId(request.params.patientId)
      return listed({ id }, `/patient/${id}/versions`, request.query, request, () => currentPatient(id))
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/versions/:version',
    audit: { type: 'patient', operation: 'load-version' },
    schema: {
      operationId: 'load-patient-version',
      summary: 'Load a version of a patient',
      description: 'Returns a patient as it was, or as it is if the version is the current one.',
      params: Type.Object({ patientId, version }),
      response: { 200: Patient, 304: noContent, ...problemResponses },
      problems: [PatientNotFound, VersionNotFound]
    },
    handler (request) {
      const id = storedId(request.params.patientId)
      return loaded({ id }, request.params.version, request, () => currentPatient(id))
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/tests/:testId/versions',
    audit: { type: 'test', operation: 'list-versions' },
    schema: {
      operationId: 'load-test-versions',
      summary: 'List the earlier versions of a test result',
      description: 'Returns the versions that changes replaced, newest first. ' +
        'If there is a next page, Link refers to it.',
      params: Type.Object({ patientId, testId }),
      querystring: VersionPage,
      response: { 200: Type.Array(Version), ...problemResponses },
      problems: [PatientNotFound, TestNotFound, InvalidCursor]
    },
    handler (request) {
      const ids = idsOf(request.params)
      const path = `/patient/${ids.patientId}/tests/${ids.id}/versions`
      return listed(ids, path, request.query, request, () => currentTest(ids))
    }
  })

  app.audited({
    method: 'GET',
    url: '/patient/:patientId/tests/:testId/versions/:version',
    audit: { type: 'test', operation: 'load-version' },
    schema: {
      operationId: 'load-test-version',
      summary: 'Load a version of a test result',
      description: 'Returns a test result as it was, or as it is if the version is the current one.',
      params: Type.Object({ patientId, testId, version }),
      response: { 200: Test, 304: noContent, ...problemResponses },
      problems: [PatientNotFound, TestNotFound, VersionNotFound]
    },
    handler (request) {
      const ids = idsOf(request.params)
      return loaded(ids, request.params.version, request, () => currentTest(ids))
    }
  })

  /** The page of earlier versions of what `current` loads. */
  async function listed (
    ids: Ids, path: string, query: PageQuery, request: FastifyRequest, current: () => Promise<Stored>
  ) {
    const cursors = new Cursors(keys, request.headers['x-audit-actor'], path, SORT)
    const after = await cursors.position(query.cursor)
    return read({
      ...ids,
      async fetch () {
        const { _audit, ...key } = await current()
        return versions.before(key, _audit, after, query.limit)
      },
      disclosed: ({ documents }) => documents.map(({ id, _audit }) => ({ id, version: _audit })),
      answer (page, reply) {
        linkNext(reply, path, query, page, cursors)
        return reply.send(page.documents.map(toEntry))
      }
    })
  }

  /** A version of what `current` loads, as it was. */
  function loaded (ids: Ids, version: string, request: FastifyRequest, current: () => Promise<Stored>) {
    return read({
      ...ids,
      async fetch () {
        const document = await current()
        if (document._audit === version) return document
        const { _shardKey, _id } = document
        return (await versions.load(versionKey(_shardKey, _id, version))).document
      },
      disclosed: (document: Stored) => [disclosure(document)],
      answer: (document: Stored, reply: FastifyReply) => sendLoaded(document, request, reply)
    })
  }

  async function currentPatient (id: string | undefined): Promise<Stored> {
    return patients.load(patientKey(id ?? throwPatientNotFound()))
  }

  async function currentTest (ids: Ids): Promise<Stored> {
    const { patientId, id } = requireIds(ids)
    const key: Key = testKey(patientId, id)
    const [test] = await Promise.all([tests.find(key), patients.require(patientId)])
    return test ?? tests.throwMissing(key)
  }
}

const toEntry = ({ id, _audit: version, lastUpdated, replaced }: StoredVersion) =>
  ({ id, version, lastUpdated, replaced })
