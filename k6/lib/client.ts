import exec from 'k6/execution'
import http from 'k6/http'

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:8080').replace(/\/$/, '')
const { SUBSCRIPTION_KEY } = __ENV
if (!SUBSCRIPTION_KEY) throw new Error('SUBSCRIPTION_KEY is not set')

export const routes = {
  echo: '/echo/resource',
  patients: '/patient',
  search: '/patient/search',
  patient: '/patient/:patientId',
  tests: '/patient/:patientId/tests',
  test: '/patient/:patientId/tests/:testId'
} as const

export type Route = typeof routes[keyof typeof routes]

export interface Call {
  /** Of the path. */
  ids?: { patientId: string, testId?: string }
  /** With its question mark. */
  query?: string
  body?: object | string
  headers?: Record<string, string>
  /** Any other status makes a failed request. */
  expected?: number
}

/**
 * One request, told by its route: no id comes into a tag.
 *
 * Where the gateway refuses the subscription key the whole run ends, as every further request would be refused too.
 */
export function call (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', route: Route, { ids, query = '', body, headers, expected = 200 }: Call = {}) {
  const path = route.replace(/:(\w+)/g, (_, name: 'patientId' | 'testId') => ids![name]!)
  const answer = http.request(method, `${BASE_URL}${path}${query}`, typeof body === 'object' ? JSON.stringify(body) : body ?? null, {
    headers: { 'Ocp-Apim-Subscription-Key': SUBSCRIPTION_KEY!, ...headers },
    tags: { name: route },
    responseCallback: http.expectedStatuses(expected)
  })
  if (answer.status === 401) exec.test.abort('the gateway refuses SUBSCRIPTION_KEY (401)')
  return answer
}

export type Answer = ReturnType<typeof call>

/** The body as JSON, its properties in their order; undefined where it is none, so that a check fails and the user goes on. */
export function json ({ body }: Answer): any {
  try {
    return JSON.parse(body as string)
  } catch {
    return undefined
  }
}
