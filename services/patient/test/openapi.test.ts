import { readFile } from 'node:fs/promises'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { violations } from '#common/http/validation.ts'
import { openApiOf } from '../../cli/openapi/document.ts'
import { patientApi } from '../../cli/openapi/patient.ts'

const committed = await readFile(new URL('../openapi.json', import.meta.url), 'utf8')
const document = JSON.parse(committed)

interface Operation {
  operationId: string
  summary: string
  description: string
  parameters?: Array<{ in: string, name: string, description: string, required: boolean }>
  requestBody?: { content: Record<string, { example: object }> }
  responses: Record<string, {
    headers?: Record<string, object>
    content?: Record<string, { schema: { $ref: string }, example: object }>
  }>
}
const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => {
    return { name: `${method.toUpperCase()} ${path}`, path, method, ...operation }
  })
)

t.test('the committed document is up to date; otherwise npm run openapi', async (t) => {
  t.equal(await openApiOf(patientApi), committed)
})

t.test('it is an OpenAPI 3.0 document', async (t) => {
  const { valid, errors } = await new Validator().validate(document)
  t.ok(valid, JSON.stringify(errors))
  t.match(document.openapi, /^3\.0\./)
})

t.test('it holds the operations that the gateway exposes, and no others', async (t) => {
  t.strictSame(operations.map(({ name, operationId }) => `${name} ${operationId}`).sort(), [
    'DELETE /patient/{patientId} delete-patient',
    'DELETE /patient/{patientId}/tests/{testId} delete-test',
    'GET /patient/{patientId} load-patient',
    'GET /patient/{patientId}/observations load-observations',
    'GET /patient/{patientId}/tests load-tests',
    'GET /patient/{patientId}/tests/{testId} load-test',
    'GET /patient/{patientId}/tests/{testId}/versions load-test-versions',
    'GET /patient/{patientId}/tests/{testId}/versions/{version} load-test-version',
    'GET /patient/{patientId}/versions load-patient-versions',
    'GET /patient/{patientId}/versions/{version} load-patient-version',
    'PATCH /patient/{patientId} patch-patient',
    'PATCH /patient/{patientId}/tests/{testId} patch-test',
    'POST /patient create-patient',
    'POST /patient/search search-patients',
    'POST /patient/{patientId}/merge merge-patient',
    'POST /patient/{patientId}/restore restore-patient',
    'POST /patient/{patientId}/tests create-test',
    'POST /patient/{patientId}/tests/{testId}/move move-test',
    'PUT /patient/{patientId} update-patient',
    'PUT /patient/{patientId}/tests/{testId} update-test'
  ])
})

t.test('each operation describes its purpose, its parameters and its errors', async (t) => {
  for (const operation of operations) {
    const { name, path, method, summary, description, parameters = [], requestBody, responses } = operation
    t.ok(summary && description, name)
    const hasBody = ['post', 'put', 'patch'].includes(method) && !path.endsWith('/restore')
    t.equal(requestBody !== undefined, hasBody, name)
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
    const ofPath = parameters.filter((parameter) => parameter.in === 'path')
    t.strictSame(ofPath.map(({ name }) => name), inPath, name)
    t.ok(parameters.every(({ description }) => description), name)
    const required = parameters.filter((parameter) => parameter.in !== 'path' && parameter.required)
    t.strictSame(required.map(({ name }) => name), name.endsWith('/observations') ? ['code'] : [], name)
    for (const part of [requestBody, ...Object.values(responses)]) {
      for (const media of Object.values(part?.content ?? {})) t.ok(media.example, `${name} has examples`)
    }
    const problems = ['500', '503']
    if (requestBody) problems.push('400', '413', '415')
    if (inPath.length > 0) problems.push('404')
    if (/^(?:PUT|PATCH|DELETE) /.test(name)) problems.push('412')
    for (const status of problems) {
      const { schema, example } = responses[status]!.content!['application/problem+json']!
      t.equal(schema.$ref, '#/components/schemas/Problem', `${name} ${status}`)
      t.match(example, { status: Number(status), code: /^[A-Z_]+$/ })
    }
    for (const status of ['401', '403', '429', '503']) {
      const { schema } = responses[status]!.content!['application/json']!
      t.equal(schema.$ref, '#/components/schemas/GatewayError', `${name} ${status}`)
    }
  }
})

t.test('headers are described where they are read and sent', async (t) => {
  const find = (name: string) => operations.find((operation) => operation.name === name)!
  const headersOf = (name: string, status: number) => Object.keys(find(name).responses[status]!.headers ?? {})
  const ofAll = ['X-On-Behalf-Of', 'X-Purpose-Of-Use', 'X-Purpose-Reason']
  const read = (name: string) => {
    const names = find(name).parameters!.filter((parameter) => parameter.in === 'header')
      .map(({ name }) => name)
    t.strictSame(names.slice(0, ofAll.length), ofAll)
    return names.slice(ofAll.length)
  }
  t.strictSame(headersOf('POST /patient', 201), ['ETag', 'Location'])
  t.strictSame(headersOf('POST /patient', 409), ['Retry-After'])
  t.strictSame(headersOf('GET /patient/{patientId}', 200), ['ETag'])
  t.strictSame(headersOf('GET /patient/{patientId}', 304), ['ETag'])
  t.strictSame(headersOf('GET /patient/{patientId}', 503), ['Retry-After'])
  t.strictSame(headersOf('GET /patient/{patientId}', 429), ['Retry-After'])
  t.strictSame(headersOf('POST /patient/search', 200), ['Total-Count', 'Preference-Applied', 'Link'])
  t.strictSame(read('POST /patient/search'), ['Prefer'])
  t.strictSame(read('POST /patient'), ['Idempotency-Key', 'If-None-Exist'])
  t.strictSame(headersOf('GET /patient/{patientId}/tests', 200), ['Link'])
  t.strictSame(read('POST /patient/{patientId}/tests'), ['Idempotency-Key'])
  t.strictSame(read('GET /patient/{patientId}/tests/{testId}'), ['If-None-Match'])
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    t.strictSame(read(`${method} /patient/{patientId}`), ['If-Match'], method)
  }
})

t.test('each example fits its schema', async (t) => {
  const examples = Object.entries(patientApi.schemas).flatMap(([name, schema]) => {
    const { examples = [] } = schema as { examples?: object[] }
    return examples.map((example) => ({ name, schema, example }))
  })
  t.ok(examples.length >= 9)
  for (const { name, schema, example } of examples) t.strictSame(violations(schema, example), [], name)
})
