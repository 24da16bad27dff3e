import audit from '../../audit/openapi.json' with { type: 'json' }
import patient from '../../patient/openapi.json' with { type: 'json' }

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const

type Method = typeof METHODS[number]
type Item = Partial<Record<Method, { operationId: string }>>

const APIS = ['patient', 'audit', 'log', 'echo'] as const
export type Api = typeof APIS[number]

/** The operations of the patient API that have a policy of their own: the audit service carries them out. */
export const OF_REGISTER: readonly string[] = ['load-access-log', 'load-accounting']

export interface Operation {
  name: string
  /** The API whose path the operation's path begins with. */
  api: Api
  method: Uppercase<Method>
  /** With parameters as Fastify writes them. */
  path: string
}

const items = [patient, audit].flatMap(({ paths }) => Object.entries<Item>(paths))

const documented = items.flatMap(([template, item]) => {
  const path = template.replace(/\{(\w+)\}/g, ':$1')
  return METHODS.filter((method) => item[method]).map((method): Operation => ({
    name: item[method]!.operationId,
    api: path.split('/')[1] as Api,
    method: method.toUpperCase() as Uppercase<Method>,
    path
  }))
})

/** The operations of the services, from the documents that API Management imports, and of the Echo API. */
export const operations: Operation[] = [
  ...documented,
  { name: 'retrieve-resource', api: 'echo', method: 'GET', path: '/echo/resource' }
]

export const apis = APIS.filter((api) => operations.some((operation) => operation.api === api))

/** The APIs that each product includes. Its policy may refuse some of their operations. */
export const products = {
  client: ['patient', 'echo'],
  reader: ['patient', 'echo'],
  auditor: ['patient', 'audit', 'log'],
  'subject-access': ['patient']
} satisfies Record<string, Api[]>
export type Product = keyof typeof products
export const productNames = Object.keys(products) as Product[]
