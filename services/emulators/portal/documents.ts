import audit from '../../audit/openapi.json' with { type: 'json' }
import patient from '../../patient/openapi.json' with { type: 'json' }

/** The parts of a JSON schema that the pages show. */
export interface Schema {
  $ref?: string
  type?: string
  format?: string
  description?: string
  enum?: unknown[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  anyOf?: Schema[]
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  maxItems?: number
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  description?: string
  schema: Schema
  example?: unknown
}

interface Content { schema?: Schema, example?: unknown }

interface Documented {
  operationId: string
  summary: string
  description?: string
  tags?: string[]
  parameters?: Parameter[]
  requestBody?: { content: Record<string, Content> }
  responses: Record<string, { description: string, content?: Record<string, Content> }>
}

interface Document {
  info: { title: string, description: string }
  tags: Array<{ name: string, description: string }>
  paths: Record<string, Record<string, Documented>>
  components: { schemas: Record<string, Schema> }
}

/**
 * A document for generators of types: without the alternatives that only require properties, such as one of
 * several names. openapi-typescript makes `unknown` of them, so that it would check nothing.
 */
export function forTypes (document: Document): Document {
  return JSON.parse(JSON.stringify(document, (name, value) => {
    const onlyRequires = (name === 'anyOf' || name === 'oneOf') && Array.isArray(value) &&
      value.every((one) => Object.keys(one).join() === 'required')
    return onlyRequires ? undefined : value
  }))
}

export type Api = 'patient' | 'audit'
export const documents: Record<Api, Document> = {
  patient: patient as unknown as Document, audit: audit as unknown as Document
}

/** An operation of one of the APIs. */
export interface Operation extends Documented {
  api: Api
  /** The product whose subscription keys open it. */
  product: 'client' | 'auditor'
  method: string
  path: string
  tag: string
  parameters: Parameter[]
  body?: Content
}

/** The operations of both documents, in their order. */
export const operations: Operation[] = (['patient', 'audit'] as const).flatMap((api) => {
  return Object.entries(documents[api].paths).flatMap(([path, item]) => {
    return Object.entries(item).map(([method, documented]) => operationOf(api, path, method, documented))
  })
})

function operationOf (api: Api, path: string, method: string, documented: Documented): Operation {
  const { parameters = [], requestBody, tags = [], operationId } = documented
  // OpenAPI has no wildcards: the document has a path that ends in one, without a parameter
  const rest: Parameter[] = path.endsWith('/*')
    ? [{ name: '*', in: 'path', required: true, description: 'The rest of the path', schema: {} }]
    : []
  return {
    ...documented,
    operationId,
    api,
    product: api === 'audit' ? 'auditor' : 'client',
    method: method.toUpperCase(),
    path,
    tag: tags[0] ?? '',
    parameters: [...parameters, ...rest],
    body: Object.values(requestBody?.content ?? {})[0]
  }
}

/** The media types of the response that a successful call gets. */
export function acceptable ({ responses }: Operation) {
  const success = Object.entries(responses).find(([status]) => status.startsWith('2'))
  return Object.keys(success?.[1].content ?? {})
}

export function resolve (api: Api, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema
  return { ...documents[api].components.schemas[schema.$ref.split('/').at(-1)!], ...schema }
}
