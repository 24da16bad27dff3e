import { readFile, writeFile } from 'node:fs/promises'
import type { FastifyError } from '@fastify/error'
import swagger from '@fastify/swagger'
import Fastify, { type RouteOptions } from 'fastify'
import type { TSchema } from 'typebox'
import {
  BodyTooLarge, DatabaseUnavailable, Defect, EncodedBody, InvalidBody, InvalidRequest, KeysUnavailable, Problem
} from '#common/http/problems.ts'
import { buildApp } from '../patient/app.ts'
import { loadConfig } from '../patient/config.ts'
import { AuditUnavailable, OutOfTime } from '../patient/errors.ts'
import { NewPatient, NewTest, Patient, PatientCriteria, PatientPatch, PatientUpdate, Test, TestPatch, TestUpdate } from '../patient/schemas.ts'

// The OpenAPI document of the service, from the schemas of the routes that it runs: npm run openapi

const FILE = new URL('../patient/openapi.json', import.meta.url)

type ErrorClass = new () => FastifyError

interface DocumentedRoute {
  method: string
  url: string
  schema: {
    operationId: string
    summary: string
    description: string
    params?: TSchema
    querystring?: TSchema
    body?: TSchema
    response: Record<string, TSchema>
    /** The errors that this route has beside those that every route has. */
    problems: ErrorClass[]
  }
}

/** What the gateway answers itself, in the form of API Management. */
const GatewayError = { type: 'object', required: ['statusCode', 'message'], properties: { statusCode: { type: 'integer' }, message: { type: 'string' }, activityId: { type: 'string', format: 'uuid', description: 'Names this very request in the logs' } } }

const schemas: Record<string, object> = { Patient, NewPatient, PatientUpdate, PatientPatch, PatientCriteria, Test, NewTest, TestUpdate, TestPatch, Problem, GatewayError }

// Nothing listens, and nothing is asked
const settings = {
  LOG_LEVEL: 'silent',
  ALLOWED_CALLERS: '127.0.0.1/32',
  CALLER_ADDRESS: 'peer',
  AUDIT_URL: 'http://127.0.0.1:9',
  PATIENT_HOST_KEY: 'not-a-key-of-any-service',
  AUDIT_HOST_KEY: 'not-a-key-of-any-service',
  PATIENT_DATA_KEY: Buffer.alloc(32).toString('base64url'),
  PATIENT_DB_CONNECTION: 'mongodb://127.0.0.1:9/'
}

/** The document as it is committed: JSON, with a line's end. */
export async function openApi () {
  const app = Fastify()
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'Patient API',
        version: '1.0.0',
        description: 'Patient records and test results. Every interaction is recorded in an audit register before it is carried out or answered.'
      },
      servers: [{ url: 'https://{gateway}', description: 'The gateway', variables: { gateway: { default: 'gateway.example.com' } } }],
      tags: [{ name: 'patients', description: 'Patients' }, { name: 'tests', description: 'Test results of a patient' }],
      security: [{ subscriptionKeyHeader: [] }, { subscriptionKeyQuery: [] }],
      components: {
        securitySchemes: {
          subscriptionKeyHeader: { type: 'apiKey', in: 'header', name: 'Ocp-Apim-Subscription-Key' },
          subscriptionKeyQuery: { type: 'apiKey', in: 'query', name: 'subscription-key' }
        }
      }
    },
    refResolver: { buildLocalReference: ({ $id }) => $id as string }
  })
  // Nothing is validated or serialised here
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => String)
  for (const [name, schema] of Object.entries(schemas)) app.addSchema({ ...plain(schema), $id: name })
  for (const route of await documentedRoutes()) {
    app.route({ method: route.method, url: route.url, schema: schemaOf(route), handler: () => {} })
  }
  await app.ready()
  const document = app.swagger() as unknown as Document
  for (const operations of Object.values(document.paths)) {
    for (const operation of Object.values(operations)) {
      addParametersAndHeaders(operation)
      for (const { content } of [operation.requestBody, ...Object.values(operation.responses)].filter((part) => part !== undefined)) {
        for (const media of Object.values(content ?? {})) media.example ??= exampleOf(media.schema, document)
      }
    }
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** The routes that the gateway may expose, as the service registers them. */
async function documentedRoutes () {
  const routes: DocumentedRoute[] = []
  const onRoute = ({ method, url, schema }: RouteOptions) => {
    if (!url.startsWith('/patient') || (schema as { hide?: boolean } | undefined)?.hide) return
    if (!schema || !('operationId' in schema)) throw new Error(`${method} ${url} has no operationId`)
    routes.push({ method: String(method), url, schema: schema as unknown as DocumentedRoute['schema'] })
  }
  const app = await buildApp(loadConfig(settings), { onRoute })
  await app.ready()
  await app.close()
  return routes
}

function schemaOf ({ url, schema: { operationId, summary, description, params, querystring, body, response, problems } }: DocumentedRoute) {
  return {
    operationId,
    summary,
    description,
    tags: [url.includes('/tests') ? 'tests' : 'patients'],
    ...(params && { params: plain(params) }),
    ...(querystring && { querystring: optionalWithDefault(plain(querystring)) }),
    ...(body && { body: reference(body) }),
    response: { ...successes(response), ...failures(problems, { hasBody: body !== undefined, hasQuery: querystring !== undefined }) }
  }
}

function successes (response: Record<string, TSchema>) {
  const described: Record<string, string> = { 200: 'Done', 201: 'Stored', 204: 'Deleted', 304: 'The client holds this version already' }
  return Object.fromEntries(Object.entries(response).filter(([status]) => /^\d+$/.test(status)).map(([status, schema]) => {
    const description = described[status]
    if ((schema as { type?: string }).type === 'null') return [status, { type: 'null', description }]
    return [status, { description, content: { 'application/json': { schema: reference(schema) } } }]
  }))
}

function failures (own: ErrorClass[], { hasBody, hasQuery }: { hasBody: boolean, hasQuery: boolean }) {
  const common = [...(hasBody ? [InvalidBody, BodyTooLarge, EncodedBody] : []), ...(hasBody || hasQuery ? [InvalidRequest] : []), KeysUnavailable, DatabaseUnavailable, AuditUnavailable, OutOfTime, Defect]
  const byStatus = Map.groupBy([...common, ...own].map((Class) => new Class()), ({ statusCode }) => statusCode!)
  const problem = ([status, errors]: [number, FastifyError[]]) => {
    const description = errors.map(({ code, message }) => `${code}: ${message}`).join('; ')
    const { code, message: detail } = errors[0]!
    const example = { type: 'about:blank', title: STATUS[status], status, detail, instance: 'urn:uuid:7c1d6a51-6a4e-4f3c-8a55-0f5b7d9f2e10', code, traceId: '0af7651916cd43dd8448eb211c80319c' }
    const content: Record<string, object> = { 'application/problem+json': { schema: { $ref: 'Problem#' }, example } }
    if (status === 503) content['application/json'] = { schema: { $ref: 'GatewayError#' }, example: { statusCode: 503, message: 'Service unavailable', activityId: '7c1d6a51-6a4e-4f3c-8a55-0f5b7d9f2e10' } }
    return [status, { description: status === 503 ? `${description}; or the gateway cannot reach the service` : description, content }]
  }
  const byGateway = (statusCode: number, description: string, message: string) => [statusCode, { description, content: { 'application/json': { schema: { $ref: 'GatewayError#' }, example: { statusCode, message } } } }]
  return {
    ...Object.fromEntries([
      ...[...byStatus].map(problem),
      byGateway(401, 'The subscription key is missing or invalid', 'Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription.'),
      byGateway(403, 'The subscription has used up its quota', 'Out of call volume quota. Quota will be replenished in 05:41:12.'),
      byGateway(429, 'The subscription has made too many calls', 'Rate limit is exceeded. Try again in 17 seconds.')
    ])
  }
}

const STATUS: Record<number, string> = { 400: 'Bad Request', 404: 'Not Found', 409: 'Conflict', 412: 'Precondition Failed', 413: 'Payload Too Large', 415: 'Unsupported Media Type', 500: 'Internal Server Error', 503: 'Service Unavailable' }

/** `schema` by its name where it has one, so that a thing is described once. */
function reference (schema: object): object {
  const [name] = Object.entries(schemas).find(([, known]) => known === schema) ?? []
  if (name) return { $ref: `${name}#` }
  const { items } = schema as { items?: object }
  return items ? { type: 'array', items: reference(items) } : plain(schema)
}

/** JSON Schema as OpenAPI 3.0 takes it: null is no type, and what may not be sent is left out. */
function plain (schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_key, value) => {
    if (Array.isArray(value?.type)) return { ...value, type: value.type.find((type: string) => type !== 'null'), nullable: true }
    if (value?.properties) return { ...value, properties: Object.fromEntries(Object.entries<any>(value.properties).filter(([, { not }]) => not === undefined)) }
    return value
  })
}

/** What has a default need not be sent. */
function optionalWithDefault (schema: { properties?: Record<string, { default?: unknown }>, required?: string[] }) {
  return { ...schema, required: schema.required?.filter((name) => schema.properties![name]!.default === undefined) }
}

interface Document {
  components: { schemas: Record<string, { example?: object }> }
  paths: Record<string, Record<string, Operation>>
}

interface Operation {
  parameters?: object[]
  requestBody?: { required?: boolean, content?: Content }
  responses: Record<string, { headers?: Record<string, object>, content?: Content }>
}

type Content = Record<string, { schema: Schema, example?: unknown }>

interface Schema {
  type?: string
  $ref?: string
  items?: Schema
}

function exampleOf ({ $ref, items }: Schema, document: Document): unknown {
  if (items) return [exampleOf(items, document)]
  return $ref && document.components.schemas[$ref.split('/').at(-1)!]!.example
}

const header = (description: string, example: string) => ({ description, schema: { type: 'string' }, example })
const ETAG = header('The version of what is answered, a strong validator (RFC 9110)', '"0198c1f2-7a3b-7000-8000-0f3f2f6a1c11"')

/** What answers.ts, pages.ts, preconditions.ts and idempotency.ts read from and write into header fields. */
function addParametersAndHeaders (operation: Operation) {
  const { requestBody, responses, parameters = operation.parameters = [] } = operation
  const parameter = (name: string, description: string, example: string) => {
    parameters.push({ in: 'header', name, required: false, description, schema: { type: 'string' }, example })
  }
  const isPage = responses[200]?.content?.['application/json']?.schema.type === 'array'
  if (responses[201]) parameter('Idempotency-Key', 'Creates once however often it is sent, for 24 hours', '1f6d0c6c-4a56-4a86-9d0b-2f2a86b0b7aa')
  if (responses[304]) parameter('If-None-Match', 'Answers 304 where one of these is the current version', '"0198c1f2-7a3b-7000-8000-0f3f2f6a1c11"')
  if (responses[412]) parameter('If-Match', 'Changes nothing where none of these is the current version', '"0198c1f2-7a3b-7000-8000-0f3f2f6a1c11"')
  if (requestBody) requestBody.required = true
  for (const [status, response] of Object.entries(responses)) {
    const headers: Record<string, object> = {}
    if (['200', '201', '304'].includes(status) && !isPage) headers.ETag = ETAG
    if (status === '201') headers.Location = header('Where it is', '/patient/6f0c7e5e-7d0f-4c8e-9a53-0f3f2f6a1c11')
    if (status === '200' && isPage) headers.Link = header('The next page, where more follows (RFC 8288)', '</patient/search?limit=100&sort=id&cursor=…>; rel="next"')
    if (['403', '409', '429', '503'].includes(status)) headers['Retry-After'] = { description: 'Seconds to wait before the next attempt', schema: { type: 'integer' }, example: 1 }
    if (status === '415') headers['Accept-Encoding'] = header('The encoding that the service accepts', 'identity')
    if (status === '401') headers['WWW-Authenticate'] = header('How the key is shown', 'AzureApiManagementKey realm="https://gateway.example.com",name="Ocp-Apim-Subscription-Key",type="header"')
    if (Object.keys(headers).length > 0) response.headers = headers
  }
}

if (import.meta.main) {
  const before = await readFile(FILE, 'utf8').catch(() => '')
  const now = await openApi()
  await writeFile(FILE, now)
  process.stdout.write(`services/patient/openapi.json ${before === now ? 'is as it was' : 'written'}\n`)
}
