import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Violation } from '#common/http/validation.ts'
import { StartError } from '../system/state.ts'

const ATTEMPTS = 10
const MAX_WAIT_MS = 10_000
const FIRST_WAIT_MS = 250
/** The header Date has whole seconds. */
const CLOCK_MS = 1_000
const TIMEOUT_MS = 60_000
/** Refusals that end by themselves. */
const TEMPORARY = new Set([408, 425, 429, 500, 502, 503, 504])

/** What was stored, and whether an earlier run had stored it; or else why it was not. */
export type Answer =
  { id: string, before: boolean, refused?: undefined } |
  /** With `code` that of the API, and the patient into which the one of the path was merged. */
  { refused: Violation[], code?: string, replacedBy?: string }

type Headers = Record<string, string>

/** A response; without a status if there was none. */
interface Attempt {
  status?: number
  /** In ms. */
  retryAfter?: number
  /** When it was sent, by the clock of the gateway. */
  date?: number
  answer: Problem
}

interface Problem {
  id?: string
  lastUpdated?: string
  code?: string
  replacedBy?: string
  detail?: string
  message?: string
  errors?: Violation[]
}

/** Creates patients and test results through a gateway. Repeats what fails, for some time. */
export class Gateway {
  #pool: Pool
  #prefix: string
  #headers: Headers

  /**
   * @param headers of each request, beside the subscription key
   * @throws {StartError} `url` is not one
   */
  constructor (url: string, key: string, connections: number, headers: Headers = {}) {
    if (!URL.canParse(url) || !/^https?:/.test(url)) throw new StartError('--gateway takes an http or https URL')
    const { origin, pathname } = new URL(url)
    this.#prefix = pathname.replace(/\/$/, '')
    this.#pool = new Pool(origin, { connections, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
    this.#headers = { 'ocp-apim-subscription-key': key, ...headers }
  }

  close () {
    return this.#pool.destroy()
  }

  /** The id of a patient, or of the one into which it was merged; undefined if it was deleted. */
  async findPatient (id: string) {
    const { status, answer } = await this.#send('GET', `/patient/${id}`)
    return status === 404 ? answer.replacedBy : id
  }

  /**
   * Creates once for each Idempotency-Key or If-None-Exist of `headers`.
   *
   * @throws {StartError} the gateway cannot be reached, or refuses the subscription key
   */
  async create (path: string, body: string, headers: Headers): Promise<Answer> {
    const started = performance.now()
    const { status, answer, date = 0 } = await this.#send('POST', path, body, headers)
    const ms = performance.now() - started
    const { id, lastUpdated, errors, code, detail, message, replacedBy } = answer
    if (status === 201 && id && lastUpdated) {
      return { id, before: Date.parse(lastUpdated) < date - ms - CLOCK_MS }
    }
    if (status === 200 && id) return { id, before: true }
    if (errors && errors.length > 0) return { refused: errors }
    const reason = [status, code, detail ?? message].filter(Boolean).join(' ')
    return { refused: [{ pointer: '', message: reason }], code, replacedBy }
  }

  async #send (method: 'GET' | 'POST', path: string, body?: string, headers?: Headers) {
    for (let attempt = 1; ; attempt++) {
      const { status, retryAfter, date, answer } = await this.#attempt(method, path, body, headers)
      if (status === 401) throw new StartError('the gateway refuses the subscription key')
      // An earlier attempt may be in progress, which a conflict says
      const isInProgress = status === 409 && retryAfter !== undefined
      const temporary = status === undefined || TEMPORARY.has(status) || isInProgress
      if (!temporary) return { status: status!, answer, date }
      if (attempt === ATTEMPTS) {
        // Another resource may be stored, as the fault may be of this one
        if (status === 500) return { status, answer, date }
        if (status === undefined) throw new StartError('the gateway cannot be reached')
        throw new StartError(`the gateway answered ${status} to ${ATTEMPTS} attempts`)
      }
      const backoff = Math.min(FIRST_WAIT_MS * 2 ** attempt, MAX_WAIT_MS)
      await sleep(retryAfter ?? backoff * (0.5 + Math.random() / 2))
    }
  }

  async #attempt (
    method: 'GET' | 'POST', path: string, body?: string, headers?: Headers
  ): Promise<Attempt> {
    try {
      const response = await this.#pool.request({
        method,
        path: this.#prefix + path,
        headers: {
          ...this.#headers,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers
        },
        body: body ?? null
      })
      const text = await response.body.text()
      return {
        status: response.statusCode,
        retryAfter: toMs(response.headers['retry-after']),
        date: Date.parse(String(response.headers.date)),
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
