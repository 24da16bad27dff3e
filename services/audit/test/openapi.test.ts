import { readFile } from 'node:fs/promises'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { auditApi } from '../../cli/openapi/audit.ts'
import { openApiOf } from '../../cli/openapi/document.ts'

const committed = await readFile(new URL('../openapi.json', import.meta.url), 'utf8')
const document = JSON.parse(committed)

t.test('the committed document is up to date; otherwise npm run openapi', async (t) => {
  t.equal(await openApiOf(auditApi), committed)
})

t.test('it is an OpenAPI 3.0 document', async (t) => {
  const { valid, errors } = await new Validator().validate(document)
  t.ok(valid, JSON.stringify(errors))
  t.match(document.openapi, /^3\.0\./)
})

t.test('it holds the operations that the gateway exposes, and no others', async (t) => {
  interface Operation { operationId: string, responses: object }
  const operations = Object.entries<Record<string, Operation>>(document.paths)
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, { operationId, responses }]) => {
      t.ok('200' in responses || '204' in responses, operationId)
      return `${method.toUpperCase()} ${path} ${operationId}`
    }))
  t.strictSame(operations.sort(), [
    'DELETE /audit/watched-patients/{patientId} unwatch-patient',
    'GET /audit search-records',
    'GET /audit/actors/{actor} load-actor-summary',
    'GET /audit/evidence load-evidence',
    'GET /audit/findings list-findings',
    'GET /audit/findings/{findingId} load-finding',
    'GET /audit/statistics load-statistics',
    'GET /audit/watched-patients list-watched-patients',
    'GET /audit/{id} load-record',
    'GET /audit/{id}/proof load-proof',
    'GET /log/checkpoint load-checkpoint',
    'GET /log/keys load-log-keys',
    'GET /log/tile/* load-tile',
    'GET /patient/{patientId}/access-log load-access-log',
    'GET /patient/{patientId}/accounting load-accounting',
    'PATCH /audit/findings/{findingId} review-finding',
    'PUT /audit/watched-patients/{patientId} watch-patient'
  ])
})
