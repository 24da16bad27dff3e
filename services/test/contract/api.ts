import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { startIngestion } from '../ingestion.ts'
import { startSystem, type Options } from '../system.ts'
import { openStores } from './stores.ts'
import { isWirable, startWire } from './wire.ts'

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Headers = Record<string, string | undefined>

export interface Answer {
  status: number
  headers: IncomingHttpHeaders & Record<string, string>
  text: string
  /** The text parsed, where it is JSON. */
  body: any
  /** The id of the trace that the request was sent in. */
  trace: string
}

export interface Details {
  firstName: string
  lastName?: string
  fullName?: string
  gender: string
  dateOfBirth: string
  postCode: string
  insuranceNumber?: string
  preferredContactNumber?: string
}

export type Api = Awaited<ReturnType<typeof start>>

const MARK = 'zq'
const SECRET = new RegExp(`${MARK}[0-9a-z]{14}|[0-9a-f]{8}-[0-9a-f-]{27}|\\d{15}`, 'g')

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const secrets = new Set<string>()

/** A word that stands for health data, and occurs nowhere else. */
export function secret () {
  return keep(MARK + BigInt(`0x${randomBytes(10).toString('hex')}`).toString(36).padStart(14, '0').slice(-14))
}

/** A number that stands for health data. */
export function secretNumber () {
  return Number(keep(`8${String(randomInt(1e14)).padStart(14, '0')}`))
}

/** An id that no patient and no test has. */
export const unknownId = () => keep(randomUUID())

function keep (value: string) {
  secrets.add(value)
  return value
}

export function newPatient (changes: Partial<Details> = {}): Details {
  return {
    firstName: secret(),
    lastName: secret(),
    fullName: `${secret()} ${secret()}`,
    gender: ['male', 'female', 'other', 'unknown'][randomInt(4)]!,
    dateOfBirth: dateOfBirth(),
    postCode: secret().slice(-4),
    insuranceNumber: secret(),
    preferredContactNumber: `+${secretNumber()}`,
    ...changes
  }
}

export function dateOfBirth () {
  const two = (below: number) => String(1 + randomInt(below)).padStart(2, '0')
  return `${1900 + randomInt(120)}-${two(12)}-${two(28)}`.slice(0, [4, 7, 10, 10][randomInt(4)])
}

export function newTest (changes: object = {}) {
  return { performer: secret(), orderReference: secret(), observations: [newObservation()], ...changes }
}

export function newObservation () {
  return {
    id: secret(),
    code: secret(),
    measurement: secret(),
    interpretation: secret(),
    issued: '2019-06-01T10:20:30+02:00',
    status: 'final'
  }
}

interface Call {
  body?: object | string | Buffer | null
  headers?: Headers
}

let shared: { system?: Promise<Api> } | undefined

/** Has all files that `run` imports use one system, which the first of them starts. */
export async function shareSystem (run: () => Promise<void>) {
  shared = {}
  const sharing = shared
  try {
    await run()
  } finally {
    shared = undefined
    // Only now: once it has a teardown, tap ends where there is no test for a moment, as between two files
    t.teardown(async () => (await sharing.system)?.close())
  }
  if (sharing.system) testLogs(await sharing.system)
}

/**
 * A system as its clients see it: the one that is shared, or one of this file's own. It ends with the
 * process.
 *
 * `wired` puts a proxy between the services and their databases; where that is impossible, the file is
 * skipped.
 */
export async function startApi (options: Options & { wired?: boolean } = {}) {
  if (shared) return await (shared.system ??= start(options))
  const api = await start(options)
  t.teardown(api.close)
  return api
}

async function start ({ wired = false, ...options }: Options & { wired?: boolean }) {
  if (wired && !isWirable(process.env)) {
    t.plan(0, 'no wire can be put before MONGODB_URI')
    process.exit()
  }
  const wire = wired ? await startWire() : undefined
  const ingestion = await startIngestion()
  const env = { ...ingestion.settings, ...options.env, ...wire?.settings }
  const system = await startSystem({ ...options, env })
  const pool = new Pool(system.baseUrl, { connections: 128 })
  const stores = await openStores(system.run, wire?.uri)

  async function call (method: Method, path: string, { body, headers = {} }: Call = {}): Promise<Answer> {
    const trace = randomBytes(16).toString('hex')
    const isRaw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
    const answer = await pool.request({
      method,
      path,
      headers: {
        'ocp-apim-subscription-key': system.subscriptionKey,
        traceparent: `00-${trace}-${randomBytes(8).toString('hex')}-01`,
        ...headers
      },
      body: (isRaw ? body : JSON.stringify(body)) ?? null
    })
    const text = await answer.body.text()
    const parsed = /json/.test(String(answer.headers['content-type'])) && text ? JSON.parse(text) : undefined
    if (answer.statusCode < 300) for (const { id } of [parsed].flat().filter(Boolean)) if (id) keep(id)
    const { statusCode: status } = answer
    return { status, headers: answer.headers as Answer['headers'], text, body: parsed, trace }
  }

  const api = {
    system,
    /** The ingestion of the telemetry of all processes, with every operation. */
    ingestion,
    ...stores,
    /** Between the services and their databases; only where the file asked for it. */
    wire: wire!,
    call,
    get: (path: string, headers?: Headers) => call('GET', path, { headers }),
    post: (path: string, body: Call['body'], headers?: Headers) => call('POST', path, { body, headers }),
    put: (path: string, body: Call['body'], headers?: Headers) => call('PUT', path, { body, headers }),
    patch: (path: string, body: Call['body'], headers?: Headers) => call('PATCH', path, { body, headers }),
    delete: (path: string, headers?: Headers) => call('DELETE', path, { headers }),
    search (criteria: object, query = '', headers?: Headers) {
      return call('POST', `/patient/search${query}`, { body: criteria, headers })
    },
    asReader: { 'ocp-apim-subscription-key': system.readerKey },

    /** A patient as it was stored, with its version. */
    async create (changes?: Partial<Details>) {
      const answer = await api.post('/patient', newPatient(changes))
      if (answer.status !== 201) throw new Error(`not created: ${answer.status} ${answer.text}`)
      const id = answer.body.id as string
      return { patient: answer.body, id, path: `/patient/${id}`, etag: answer.headers.etag! }
    },

    /** A test result of the patient at `path`, as it was stored, with its version. */
    async createTest (path: string, changes?: object) {
      const answer = await api.post(`${path}/tests`, newTest(changes))
      if (answer.status !== 201) throw new Error(`not created: ${answer.status} ${answer.text}`)
      const id = answer.body.id as string
      return { result: answer.body, id, path: `${path}/tests/${id}`, etag: answer.headers.etag! }
    },

    /** The records of one request, in the order in which they were taken. */
    recordsOf ({ trace }: Answer) {
      return stores.records({ 'records.operationId': trace }, (record) => record.operationId === trace)
    },

    async close () {
      await pool.destroy()
      await stores.close()
      await system.stop()
      await ingestion.close()
      await wire?.close()
    }
  }

  return api
}

interface Subject {
  patient: any
  path: string
  etag: string
}

/** Does `work` for 0 … count - 1, at most so many at once: a busy machine answers too many with 503. */
export async function inParallel (count: number, atOnce: number, work: (i: number) => Promise<unknown>) {
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < count) await work(next++)
  }))
}

/** Every kind of request, each good, about one patient and one of its test results. */
export function requestsAbout (api: Api, { patient, path, etag }: Subject, testPath: string) {
  const requests: Record<string, () => Promise<Answer>> = {
    'a create': () => api.post('/patient', newPatient()),
    'a create with a key': () => api.post('/patient', newPatient(), { 'idempotency-key': secret() }),
    'an update': () => api.put(path, newPatient()),
    'an update with If-Match': () => api.put(path, newPatient(), { 'if-match': etag }),
    'a patch': () => api.patch(path, { lastName: secret() }),
    'a deletion': () => api.delete(path),
    'a create of a test': () => api.post(`${path}/tests`, newTest()),
    'an update of a test': () => api.put(testPath, newTest()),
    'a patch of a test': () => api.patch(testPath, { performer: secret() }),
    'a deletion of a test': () => api.delete(testPath),
    'a load': () => api.get(path),
    'a load of what is not there': () => api.get(`/patient/${unknownId()}`),
    'a conditional load': () => api.get(path, { 'if-none-match': etag }),
    'a search': () => api.search({ lastName: patient.lastName }),
    'a search for all': () => api.search({}),
    'a list of tests': () => api.get(`${path}/tests`),
    'a load of a test': () => api.get(testPath)
  }
  return requests
}

/**
 * The last tests of each file, or of all that share a system: no log line of any process and no telemetry
 * holds what was stored, sent or received.
 */
export function testLogs (api: Api) {
  if (shared) return
  const { system, ingestion } = api
  t.test('no log line holds a value or an id of a patient or a test result', async (t) => {
    t.ok(secrets.size > 0)
    const { trace } = await api.get('/patient/last', api.asReader)
    await system.linesOf(trace, 'gateway', 'patient')
    holdsNoSecret(t, system.logs())
    t.notMatch(system.logs(), '"msg":"defect"')
  })

  t.test('no telemetry holds a value, an id or an address', async (t) => {
    // The other subscription may have no calls left
    await allTold(api, await api.get('/patient/last', api.asReader))
    const text = ingestion.text()
    holdsNoSecret(t, text)
    for (const key of Object.values(system.keys)) t.notOk(text.includes(key))
    t.notMatch(text, /127\.0\.0\.1|::1|ai\.location|userAgent/)
  })
}

/** Fulfilled when all telemetry from before the answer to `last` has come; each process sends in order. */
async function allTold ({ ingestion }: Api, { trace }: Answer) {
  const roles = new Set(['gateway', 'patient', 'audit'])
  for (const until = Date.now() + 60_000; roles.size > 0; await sleep(100)) {
    if (Date.now() > until) throw new Error(`no telemetry came from ${[...roles]}`)
    for (const { tags, data } of ingestion.envelopes()) {
      if (tags['ai.operation.id'] !== trace || data.baseType !== 'RequestData') continue
      roles.delete(tags['ai.cloud.role']!)
    }
  }
}

/** The answer is a problem of a service (RFC 9457), and holds nothing that stands for health data. */
export function isProblem (t: Test, answer: Answer, expected: number, code?: string) {
  const { status, headers, body, text, trace } = answer
  t.equal(status, expected, text)
  if (status !== expected) return
  t.match(headers['content-type'], /^application\/problem\+json(;|$)/)
  const { errors, ...rest } = body
  t.strictSame(Object.keys(rest).sort(), ['code', 'detail', 'instance', 'status', 'title', 'traceId', 'type'])
  t.match(rest, { status: expected, traceId: trace, instance: /^urn:uuid:[0-9a-f-]{36}$/ })
  if (code) t.equal(rest.code, code)
  for (const error of errors ?? []) t.strictSame(Object.keys(error).sort(), ['message', 'pointer'])
  if (expected === 503) t.match(headers['retry-after'], /^[1-9]\d*$/)
  holdsNoSecret(t, text)
}

export function holdsNoSecret (t: Test, text: string) {
  t.strictSame(secretsIn(text), [])
}

/** It holds no value of a patient or a test result; ids it may hold. */
export function holdsNoValue (t: Test, text: string) {
  t.strictSame(secretsIn(text).filter((word) => !UUID.test(word)), [])
}

function secretsIn (text: string) {
  return [...new Set(text.toLowerCase().match(SECRET)?.filter((word) => secrets.has(word)))]
}

/** Whoever answers, the answer asks to be tried again and discloses nothing. */
export function isUnavailable (t: Test, { status, headers, text }: Answer) {
  t.equal(status, 503, text)
  t.match(headers['retry-after'], /^[1-9]\d*$/)
  holdsNoSecret(t, text)
}
