export interface Operation {
  name: string
  api: 'patient' | 'echo'
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
}

/** Every operation the gateway knows, as the APIs imported into API Management list them. */
export const operations = [
  { name: 'create-patient', api: 'patient', method: 'POST', path: '/patient' },
  { name: 'load-patient', api: 'patient', method: 'GET', path: '/patient/:patientId' },
  { name: 'update-patient', api: 'patient', method: 'PUT', path: '/patient/:patientId' },
  { name: 'patch-patient', api: 'patient', method: 'PATCH', path: '/patient/:patientId' },
  { name: 'delete-patient', api: 'patient', method: 'DELETE', path: '/patient/:patientId' },
  { name: 'search-patients', api: 'patient', method: 'POST', path: '/patient/search' },
  { name: 'create-test', api: 'patient', method: 'POST', path: '/patient/:patientId/tests' },
  { name: 'load-tests', api: 'patient', method: 'GET', path: '/patient/:patientId/tests' },
  { name: 'load-test', api: 'patient', method: 'GET', path: '/patient/:patientId/tests/:testId' },
  { name: 'update-test', api: 'patient', method: 'PUT', path: '/patient/:patientId/tests/:testId' },
  { name: 'patch-test', api: 'patient', method: 'PATCH', path: '/patient/:patientId/tests/:testId' },
  { name: 'delete-test', api: 'patient', method: 'DELETE', path: '/patient/:patientId/tests/:testId' },
  { name: 'retrieve-resource', api: 'echo', method: 'GET', path: '/echo/resource' }
] as const satisfies Operation[]

export type OperationName = typeof operations[number]['name']

export type Product = 'client' | 'reader'

/** The operations that each product opens. */
export const products: Record<Product, ReadonlySet<OperationName>> = {
  client: new Set(operations.map(({ name }) => name)),
  reader: new Set(['load-patient', 'search-patients', 'load-tests', 'load-test', 'retrieve-resource'])
}
