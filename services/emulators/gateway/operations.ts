import document from '../../patient/openapi.json' with { type: 'json' }

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const

type Method = typeof METHODS[number]
type Item = Partial<Record<Method, { operationId: string }>>

export type Api = 'patient' | 'echo'

export interface Operation {
  name: string
  api: Api
  method: Uppercase<Method>
  /** With parameters as Fastify writes them. */
  path: string
}

const patientOperations = Object.entries<Item>(document.paths).flatMap(([template, item]) => {
  const path = template.replace(/\{(\w+)\}/g, ':$1')
  return METHODS.filter((method) => item[method]).map((method): Operation => ({
    name: item[method]!.operationId,
    api: 'patient',
    method: method.toUpperCase() as Uppercase<Method>,
    path
  }))
})

/** The operations of the Patient API, from the document that API Management imports, and of the Echo API. */
export const operations: Operation[] = [
  ...patientOperations,
  { name: 'retrieve-resource', api: 'echo', method: 'GET', path: '/echo/resource' }
]

export type Product = 'client' | 'reader'

/** The operations that each product allows. */
export const products: Record<Product, ReadonlySet<string>> = {
  client: new Set(operations.map(({ name }) => name)),
  reader: new Set(['load-patient', 'search-patients', 'load-tests', 'load-test', 'retrieve-resource'])
}
