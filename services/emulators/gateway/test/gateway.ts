import Fastify, { type FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { Pool, type Dispatcher } from 'undici'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'

export const HOST_KEY = 'host-key-of-the-patient-service'
export const QUERY_KEY = 'query-key-of-the-audit-service'
export const CLIENT_KEY = 'key-of-the-client-subscription'
export const READER_KEY = 'key-of-the-reader-subscription'
export const AUDITOR_KEY = 'key-of-the-auditor-subscription'
export const SUBJECT_KEY = 'key-of-the-subject-subscription'
/** The patient whose access log the subject may load. */
export const SUBJECT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
export const SUBSCRIPTION_KEYS = JSON.stringify({
  'test-client': { product: 'client', key: CLIENT_KEY },
  'test-reader': { product: 'reader', key: READER_KEY },
  'test-auditor': { product: 'auditor', key: AUDITOR_KEY },
  [`subject-access-${SUBJECT}`]: { product: 'subject-access', key: SUBJECT_KEY }
})
export const asClient = { 'ocp-apim-subscription-key': CLIENT_KEY }
export const asAuditor = { 'ocp-apim-subscription-key': AUDITOR_KEY }
export const asSubject = { 'ocp-apim-subscription-key': SUBJECT_KEY }
export const asReader = { 'ocp-apim-subscription-key': READER_KEY }

/** What the service was asked, as it saw it. */
export interface Seen {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

/** A small service that answers everything with what it saw. */
export async function startService (t: Test) {
  const service = Fastify({ forceCloseConnections: true, bodyLimit: 2 ** 20 })
  service.removeAllContentTypeParsers()
  service.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  service.all('*', ({
    method, raw, headers, body
  }) => ({ method, url: raw.url, headers, body: body === undefined ? '' : String(body) }))
  await service.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => service.close())
  return service
}

export const urlOf = (
  app: FastifyInstance
) => `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

/** The gateway on a socket, before the service at `serviceUrl`. */
export async function startGateway (
  t: Test,
  serviceUrl: string,
  settings: NodeJS.ProcessEnv = {},
  policies: Pick<Parameters<typeof buildApp>[1] & {}, 'sendRequest' | 'namedValues'> = {}
) {
  const logs: string[] = []
  const config = loadConfig({
    HOST: '127.0.0.1',
    PORT: '0',
    PATIENT_URL: serviceUrl,
    AUDIT_URL: serviceUrl,
    PATIENT_HOST_KEY: HOST_KEY,
    AUDIT_QUERY_KEY: QUERY_KEY,
    GATEWAY_SUBSCRIPTION_KEYS: SUBSCRIPTION_KEYS,
    ...settings
  })
  const app = await buildApp(config, { logStream: { write: (line) => { logs.push(line) } }, ...policies })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const url = urlOf(app)

  const pool = new Pool(url)
  t.teardown(() => pool.destroy())

  /** Calls the gateway, with `path` as it is written. */
  async function call (path: string, options: Partial<Dispatcher.RequestOptions> = {}) {
    const { statusCode, headers, body } = await pool.request({ method: 'GET', ...options, path })
    const text = await body.text()
    return { statusCode, headers, text, json: () => JSON.parse(text) }
  }

  /** Calls the gateway and returns what the service received of it. */
  async function pass (path: string, options: Partial<Dispatcher.RequestOptions> = {}): Promise<Seen> {
    const { json } = await call(path, { ...options, headers: { ...asClient, ...options.headers as object } })
    return json()
  }

  /** The lines of the access log, once `count` calls are over. */
  async function accessLog (count: number) {
    const lines = () => logs.map((line) => JSON.parse(line)).filter(({ msg }) => msg.startsWith('request'))
    while (lines().length < count) await new Promise(setImmediate)
    return lines()
  }

  return { app, url, call, pass, logs, accessLog }
}
