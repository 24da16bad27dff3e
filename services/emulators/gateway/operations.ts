import document from '../../patient/openapi.json' with { type: 'json' }

export interface Operation {
  name: string
  api: 'patient' | 'echo'
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const

/** Every operation the gateway knows: those of the Patient API's document, as API Management imports it, and the Echo API's. */
export const operations: Operation[] = [
  ...Object.entries<Partial<Record<typeof METHODS[number], { operationId: string }>>>(document.paths).flatMap(([path, item]) => METHODS.flatMap((method) => {
    const name = item[method]?.operationId
    return name === undefined ? [] : { name, api: 'patient' as const, method: method.toUpperCase() as Operation['method'], path: path.replace(/\{(\w+)\}/g, ':$1') }
  })),
  { name: 'retrieve-resource', api: 'echo', method: 'GET', path: '/echo/resource' }
]

export type Product = 'client' | 'reader'

/** The operations that each product opens. */
export const products: Record<Product, ReadonlySet<string>> = {
  client: new Set(operations.map(({ name }) => name)),
  reader: new Set(['load-patient', 'search-patients', 'load-tests', 'load-test', 'retrieve-resource'])
}
