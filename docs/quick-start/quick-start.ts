// Needs Node.js 22.18 or later, openapi-fetch, and the types of openapi-typescript in patient-api.d.ts. BASE
// is the address of the gateway, KEY a subscription key of the product client.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import createClient from 'openapi-fetch'
import type { components, paths } from './patient-api.d.ts'

type Problem = components['schemas']['Problem']

const { BASE = 'http://127.0.0.1:8080', KEY = '' } = process.env
const ATTEMPTS = 5
const TEMPORARY = [429, 503]

const api = createClient<paths>({
  baseUrl: BASE,
  headers: { 'Ocp-Apim-Subscription-Key': KEY },
  fetch: fetchWithRetry
})

/**
 * Repeats a request that is refused for the moment or gets no answer, after Retry-After seconds if the
 * response says so. A create has an Idempotency-Key: repeated with the same key, it stores nothing twice.
 */
async function fetchWithRetry (request: Request): Promise<Response> {
  const mayRepeat = request.method !== 'POST' || request.headers.has('Idempotency-Key') ||
    request.url.includes('/search')
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt === ATTEMPTS || !mayRepeat
    const response = await fetch(request.clone(), { signal: AbortSignal.timeout(60_000) })
      .catch((error: unknown) => { if (isLast) throw error })
    // 409 with Retry-After: the first attempt is still in progress
    const isTemporary = !response || TEMPORARY.includes(response.status) ||
      (response.status === 409 && response.headers.has('Retry-After'))
    if (response && (isLast || !isTemporary)) return response
    const backoff = 2 ** attempt / 4
    await sleep(1_000 * Number(response?.headers.get('Retry-After') ?? backoff))
  }
}

/** The body of a successful response. Errors are told apart by their code; texts may change. */
function dataOf<T> ({ data, error }: { data?: T, error?: unknown }): T {
  if (data !== undefined) return data
  const { code, traceId, message } = error as Partial<Problem> & { message?: string }
  throw new Error(`refused: ${code ?? message} (trace ${traceId})`)
}

// Create a patient
const name = { firstName: 'Ada', lastName: 'Quickstart' }
const patient = dataOf(await api.POST('/patient', {
  params: { header: { 'Idempotency-Key': randomUUID() } },
  body: { ...name, gender: 'female', dateOfBirth: '1985-12-10', postCode: 'W1S4' }
}))
console.log('created', patient.id)

// Store a test result
dataOf(await api.POST('/patient/{patientId}/tests', {
  params: { path: { patientId: patient.id }, header: { 'Idempotency-Key': randomUUID() } },
  body: {
    effective: '2026-02-28',
    observations: [
      { id: '1', code: 'hb', value: { number: 8.2, unit: 'g/dL' }, interpretation: 'low', status: 'final' }
    ]
  }
}))
console.log('stored a test result')

// Find the patient by how the name begins; a Link header would lead to the next page
const found = dataOf(await api.POST('/patient/search', {
  params: { query: { limit: 10 } },
  body: { lastNamePrefix: 'quick' }
}))
console.log('found', found.length)
