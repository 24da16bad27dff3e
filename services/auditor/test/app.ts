import Fastify from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'

const SESSION_KEY = Buffer.alloc(32, 's').toString('base64url')
export const AUDITOR_KEY = 'the-key-of-the-auditor'
export const PATIENT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
export const RECORD = '019e2f0c-6f3a-7cc1-8d7c-0f5b7d9f2e10'

interface Answer {
  status?: number
  headers?: Record<string, string>
  body?: string | object
}

/** What a gateway was asked. */
export interface Asked {
  method: string
  url: string
  headers: Record<string, string | undefined>
  body: string
}

/** The auditor's page before a gateway that gives the `answers`, by path; any other is 404. */
export async function startPage (
  t: Test, answers: Record<string, Answer> = {}, settings: NodeJS.ProcessEnv = {}
) {
  const asked: Asked[] = []
  const gateway = Fastify({ forceCloseConnections: true })
  gateway.removeAllContentTypeParsers()
  gateway.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  gateway.all('*', async ({ method, url, headers, body }, reply) => {
    asked.push({ method, url, headers: headers as Asked['headers'], body: String(body ?? '') })
    const { status = 200, headers: more = {}, body: content = '' } =
      answers[url.split('?')[0]!] ?? { status: 404, body: { statusCode: 404, message: 'Resource not found' } }
    return reply.code(status).headers(more).type('application/json').send(content)
  })
  await gateway.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => gateway.close())

  const lines: string[] = []
  const config = loadConfig({
    GATEWAY_URL: `http://127.0.0.1:${(gateway.server.address() as AddressInfo).port}`,
    AUDITOR_SESSION_KEY: SESSION_KEY,
    LOG_LEVEL: 'trace',
    ...settings
  })
  const app = await buildApp(config, { logStream: { write: (line) => { lines.push(line) } } })
  t.teardown(() => app.close())
  await app.ready()

  const get = (url: string, cookie = '') => app.inject({ url: `/auditor${url}`, headers: { cookie } })

  function post (url: string, form: Record<string, string>, headers: Record<string, string> = {}) {
    return app.inject({
      method: 'POST',
      url: `/auditor${url}`,
      headers: {
        'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin', ...headers
      },
      payload: new URLSearchParams(form).toString()
    })
  }

  /** Signs in, and returns the cookie as a browser sends it. */
  async function signIn (form: Record<string, string> = {}) {
    const typed = { key: AUDITOR_KEY, onBehalfOf: 'reviewer-17', purpose: 'HCOMPL', ...form }
    const response = await post('/sign-in', typed)
    return String(response.headers['set-cookie'] ?? '').split(';')[0]!
  }

  return { app, asked, answers, get, post, signIn, gateway, logs: () => lines.join('') }
}

/** A record as the register returns it. */
export const record = (more: object = {}) => ({
  id: RECORD,
  seq: 1,
  createdDate: '2026-11-28T12:00:00.000Z',
  operationId: '0af7651916cd43dd8448eb211c80319c',
  sourceSystemName: 'patient',
  resource: { type: 'patient', id: PATIENT, operation: 'load' },
  actor: 'ward-7',
  onBehalfOf: 'nurse-1138',
  ...more
})
