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
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Call {
  /** Parameters of the path. */
  ids?: { patientId: string, testId?: string }
  /** Including the question mark. */
  query?: string
  body?: object | string
  headers?: Record<string, string>
  /** With any other status, the request counts as failed. */
  expected?: number
}

/**
 * Sends a request, tagged with its route, so that no tag contains an id.
 *
 * Aborts the run if the gateway refuses the subscription key.
 */
export function call (method: Method, route: Route, options: Call) {
  const { ids, query = '', body, headers, expected = 200 } = options
  const path = route.replace(/:(\w+)/g, (_, name: 'patientId' | 'testId') => ids![name]!)
  const payload = typeof body === 'object' ? JSON.stringify(body) : body ?? null
  const answer = http.request(method, `${BASE_URL}${path}${query}`, payload, {
    headers: { 'Ocp-Apim-Subscription-Key': SUBSCRIPTION_KEY!, ...headers },
    tags: { name: route },
    responseCallback: http.expectedStatuses(expected)
  })
  if (answer.status === 401) exec.test.abort('the gateway refuses SUBSCRIPTION_KEY (401)')
  return answer
}

export type Answer = ReturnType<typeof call>

/** The parsed body; undefined if it is not JSON, so that a check fails and the user continues. */
export function json ({ body }: Answer): any {
  try {
    return JSON.parse(body as string)
  } catch {
    return undefined
  }
}
