import swagger from '@fastify/swagger'
import Fastify, { type onRouteHookHandler, type RouteOptions } from 'fastify'
import { Problem } from '#common/http/problems.ts'
import { addHeaders, type Header } from './headers.ts'
import { failures, sharedProblems, successes, type ErrorClass, type Response } from './responses.ts'
import { referTo, toOpenApi, withOptionalDefaults } from './schemas.ts'

/** What the OpenAPI document of a service is made from. */
export interface Api {
  /** Builds the service, which calls `onRoute` with each of its routes. */
  build (onRoute: onRouteHookHandler): Promise<Record<'ready' | 'close', () => PromiseLike<unknown>>>
  /** The parts of the document that do not come from routes. */
  openapi: NonNullable<swagger.FastifyDynamicSwaggerOptions['openapi']>
  /** The tag of a route; undefined where the document leaves the route out. */
  tagOf (url: string): string | undefined
  /** The schemas that routes refer to by name. */
  schemas: Record<string, object>
  /** The errors that every route may respond with, beside those of all services. */
  problems: ErrorClass[]
  /** Responses that every route has, by status. They are added to those of errors with the same status. */
  responses: Record<string, Response>
  requestHeaders: Record<string, Header>
  responseHeaders: Record<string, Header>
}

interface Route {
  method: string
  url: string
  schema: {
    operationId: string
    summary: string
    description: string
    params?: object
    querystring?: object
    body?: object
    response: Record<string, object>
    /** Content of a successful response in other formats than JSON, by media type. */
    contents?: Content
    /** The errors that this route may respond with, beside those of every route. */
    problems: ErrorClass[]
  }
}

interface Document {
  components: { schemas: Record<string, { example?: object }> }
  paths: Record<string, Record<string, Operation>>
}

interface Operation {
  operationId: string
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

/** The OpenAPI 3.0 document of a service, as JSON that ends with a newline. */
export async function openApiOf (api: Api) {
  const app = Fastify()
  const refResolver = { buildLocalReference: ({ $id }: { $id?: unknown }) => $id as string }
  await app.register(swagger, { openapi: { openapi: '3.0.3', ...api.openapi }, refResolver })
  // The app only describes its routes, it handles no requests
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => String)
  for (const [name, schema] of Object.entries({ ...api.schemas, Problem })) {
    app.addSchema({ ...toOpenApi(schema), $id: name })
  }
  for (const route of await routesOf(api)) {
    app.route({ method: route.method, url: route.url, schema: schemaOf(route, api), handler: () => {} })
  }
  await app.ready()
  const document = app.swagger() as unknown as Document
  for (const operation of Object.values(document.paths).flatMap((methods) => Object.values(methods))) {
    if (operation.requestBody) operation.requestBody.required = true
    addHeaders(operation, api.requestHeaders, api.responseHeaders)
    addExamples(operation, document)
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** The documented routes of a service. Throws where one has no operationId. */
async function routesOf ({ build, tagOf }: Api) {
  const routes: Route[] = []
  const app = await build(({ method, url, schema }: RouteOptions) => {
    if (tagOf(url) === undefined || (schema && 'hide' in schema)) return
    if (!schema || !('operationId' in schema)) throw new Error(`${method} ${url} has no operationId`)
    routes.push({ method: String(method), url, schema: schema as unknown as Route['schema'] })
  })
  await app.ready()
  await app.close()
  return routes
}

function schemaOf ({ url, schema }: Route, { tagOf, schemas, problems, responses }: Api) {
  const { operationId, summary, description, params, querystring, body, response, contents } = schema
  const errors = [...sharedProblems(Boolean(body), Boolean(querystring)), ...problems, ...schema.problems]
  return {
    operationId,
    summary,
    description,
    tags: [tagOf(url)!],
    ...(params && { params: toOpenApi(params) }),
    ...(querystring && { querystring: withOptionalDefaults(toOpenApi(querystring)) }),
    ...(body && { body: referTo(body, schemas) }),
    response: { ...successes(response, schemas, contents), ...failures(errors, responses) }
  }
}

/** Adds the examples of the schemas that an operation refers to. */
function addExamples ({ requestBody, responses }: Operation, document: Document) {
  for (const content of [requestBody?.content, ...Object.values(responses).map(({ content }) => content)]) {
    for (const media of Object.values(content ?? {})) media.example ??= exampleOf(media.schema, document)
  }
}

function exampleOf ({ $ref, items }: Schema, document: Document): unknown {
  if (items) return [exampleOf(items, document)]
  return $ref && document.components.schemas[$ref.split('/').at(-1)!]!.example
}
