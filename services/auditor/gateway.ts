import type { FastifyRequest } from 'fastify'
import type { Dispatcher, Pool } from 'undici'
import { openPool } from '#common/http/pool.ts'
import { traceHeaders } from '#common/telemetry/trace.ts'
import { GatewayError } from './errors.ts'
import type { Session } from './session.ts'

/** The gateway answers or gives up within 60 s. */
const TIMEOUT_MS = 65_000

/** A question to the register, by its path. */
export interface Question {
  method?: 'GET' | 'PATCH' | 'PUT' | 'DELETE'
  /** Parameters; those without a value are left out. */
  query?: Record<string, string | undefined>
  accept?: string
  headers?: Record<string, string>
  body?: object
}

export type Answer = Dispatcher.ResponseData

/** Asks the register through the gateway, with the credentials of the person who is signed in. */
export class Gateway {
  #pool: Pool

  constructor (url: string) {
    this.#pool = openPool(url, { target: 'gateway', route: routeOf }, {
      connections: 64,
      connect: { timeout: 4_000 },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS
    })
  }

  /**
   * Asks for what has no JSON, or is streamed.
   *
   * @throws {GatewayError} any status but 200 and 204
   */
  async ask (
    request: FastifyRequest, session: Session, path: string, question: Question = {}
  ): Promise<Answer> {
    const { method = 'GET', query = {}, accept = 'application/json', headers, body } = question
    const parameters = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]))
    const search = new URLSearchParams(parameters).toString()
    let answer: Answer
    try {
      answer = await this.#pool.request({
        method,
        path: search ? `${path}?${search}` : path,
        headers: {
          ...traceHeaders(request),
          ...credentials(session),
          accept,
          ...(body && { 'content-type': 'application/merge-patch+json' }),
          ...headers
        },
        body: body ? JSON.stringify(body) : null
      })
    } catch (cause) {
      throw new GatewayError(503, { traceId: request.id, retryAfter: 1, cause })
    }
    if (answer.statusCode === 200 || answer.statusCode === 204) return answer
    throw await errorOf(answer, request.id)
  }

  /** @throws {GatewayError} */
  async json<T> (...question: Parameters<Gateway['ask']>): Promise<T> {
    const { body } = await this.ask(...question)
    return body.json() as Promise<T>
  }

  /** @throws {GatewayError} */
  async text (...question: Parameters<Gateway['ask']>): Promise<string> {
    const { body } = await this.ask(...question)
    return body.text()
  }

  close () {
    return this.#pool.close()
  }
}

function credentials ({ key, token, onBehalfOf, purpose }: Session): Record<string, string> {
  return {
    ...(key && { 'ocp-apim-subscription-key': key }),
    ...(token && { authorization: `Bearer ${token}` }),
    'x-on-behalf-of': onBehalfOf,
    'x-purpose-of-use': purpose
  }
}

async function errorOf ({ statusCode, headers, body }: Answer, traceId: string) {
  const retryAfter = Number(headers['retry-after']) || undefined
  const problem = await body.json().catch(() => ({})) as Record<string, unknown>
  const text = (value: unknown) => typeof value === 'string' ? value : ''
  const errors = Array.isArray(problem.errors) ? problem.errors as Array<Record<string, unknown>> : []
  const violations = errors.map(({ pointer, message }) => {
    return { pointer: text(pointer), message: text(message) }
  })
  const detail = text(problem.detail) || text(problem.message)
  return new GatewayError(statusCode, { code: text(problem.code), detail, violations, traceId, retryAfter })
}

const WORDS = new Set([
  '', 'patient', 'access-log', 'accounting', 'audit', 'proof', 'statistics', 'findings', 'evidence',
  'watched-patients', 'log', 'checkpoint', 'keys'
])

/** The path with its ids replaced, for telemetry. */
function routeOf (path: string) {
  return path.split('?')[0]!.split('/').map((part) => WORDS.has(part) ? part : ':id').join('/')
}
