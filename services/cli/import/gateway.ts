import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Violation } from '#common/http/validation.ts'
import { StartError } from '../system/state.ts'

const ATTEMPTS = 10
const MAX_WAIT_MS = 10_000
const FIRST_WAIT_MS = 250
const TIMEOUT_MS = 60_000
/** Refusals that end by themselves. */
const TEMPORARY = new Set([408, 425, 429, 500, 502, 503, 504])

/** The response to a create: what was stored, or why it was not. */
export type Answer =
  { id: string, lastUpdated: string, refused?: undefined } | { refused: Violation[] }

interface Problem {
  id?: string
  lastUpdated?: string
  code?: string
  detail?: string
  message?: string
  errors?: Violation[]
}

/** Creates patients and test results through a gateway. Repeats what fails, for some time. */
export class Gateway {
  #pool: Pool
  #prefix: string
  #headers: Record<string, string>

  /** @throws {StartError} `url` is not one */
  constructor (url: string, key: string, connections: number) {
    if (!URL.canParse(url) || !/^https?:/.test(url)) throw new StartError('--gateway takes an http or https URL')
    const { origin, pathname } = new URL(url)
    this.#prefix = pathname.replace(/\/$/, '')
    this.#pool = new Pool(origin, { connections, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
    this.#headers = { 'ocp-apim-subscription-key': key }
  }

  close () {
    return this.#pool.destroy()
  }

  /** Whether a patient exists. */
  async hasPatient (id: string) {
    const { status } = await this.#send('GET', `/patient/${id}`)
    return status !== 404
  }

  /**
   * Creates once for each key.
   *
   * @throws {StartError} the gateway cannot be reached, or refuses the subscription key
   */
  async create (path: string, body: string, key: string): Promise<Answer> {
    const { status, answer } = await this.#send('POST', path, body, key)
    const { id, lastUpdated, errors, code, detail, message } = answer
    if (status === 201 && id && lastUpdated) return { id, lastUpdated }
    if (errors && errors.length > 0) return { refused: errors }
    return { refused: [{ pointer: '', message: `${status} ${code ?? ''} ${detail ?? message ?? ''}`.trim() }] }
  }

  async #send (method: 'GET' | 'POST', path: string, body?: string, key?: string) {
    for (let attempt = 1; ; attempt++) {
      const { status, retryAfter, answer } = await this.#attempt(method, path, body, key)
      if (status === 401) throw new StartError('the gateway refuses the subscription key')
      // An earlier attempt may be in progress, which a conflict says
      const isInProgress = status === 409 && retryAfter !== undefined
      const temporary = status === undefined || TEMPORARY.has(status) || isInProgress
      if (!temporary) return { status: status!, answer }
      if (attempt === ATTEMPTS) {
        // Another resource may be stored, as the fault may be of this one
        if (status === 500) return { status, answer }
        throw new StartError(status === undefined
          ? 'the gateway cannot be reached'
          : `the gateway answers ${status} at ${ATTEMPTS} attempts`)
      }
      const backoff = Math.min(FIRST_WAIT_MS * 2 ** attempt, MAX_WAIT_MS)
      await sleep(retryAfter ?? backoff * (0.5 + Math.random() / 2))
    }
  }

  /** One request; without a status if there was no response. */
  async #attempt (
    method: 'GET' | 'POST', path: string, body?: string, key?: string
  ): Promise<{ status?: number, retryAfter?: number, answer: Problem }> {
    try {
      const response = await this.#pool.request({
        method,
        path: this.#prefix + path,
        headers: {
          ...this.#headers,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(key && { 'idempotency-key': key })
        },
        body: body ?? null
      })
      const text = await response.body.text()
      return {
        status: response.statusCode,
        retryAfter: toMs(response.headers['retry-after']),
        answer: parse(text)
      }
    } catch {
      return { answer: {} }
    }
  }
}

/** Retry-After, in ms: it has seconds or a date. */
function toMs (value: string | string[] | undefined) {
  if (typeof value !== 'string') return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1_000
  const ms = Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0)
}

function parse (text: string): Problem {
  try {
    return (JSON.parse(text) ?? {}) as Problem
  } catch {
    return {}
  }
}
