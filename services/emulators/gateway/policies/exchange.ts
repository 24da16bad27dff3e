import type { FastifyRequest } from 'fastify'
import type { CorsPolicy } from './cors.ts'
import type { Element, Section } from './documents.ts'
import type { Context, PolicyResponse } from './expressions.ts'

/** One request, with what the statements may do to it. */
export interface Exchange extends Context {
  readonly request: FastifyRequest
  section: Section
  readonly retries: number[]
  deleteFields (names: ReadonlySet<string>): void
  setField (name: string, value: string): void
  deleteParameter (name: string): void
  setBackend (backend: string): void
  /** Sends the request to the backend and continues with `next` when its response begins; fails without one. */
  forward (timeoutMs: number, buffer: boolean, next: Step): void
  /** Responds to the client instead of the backend. */
  answer (statusCode: number, fields: Array<[string, string]>, body: string): void
  /** Passes the response of the backend on. */
  commit (): void
  /** Continues with `next` once `work` is fulfilled; fails if it is rejected. */
  wait<T> (work: Promise<T>, next: (result: T) => void): void
  unanswered (error: unknown): void
}

export type Step = (exchange: Exchange) => void

/** The request of a send-request statement. */
export interface VaultRequest {
  url: string
  method: string
  resource?: string
  clientId?: string
  timeoutMs: number
}

export type LimitKind = 'rate-limit' | 'quota'

/** What the statements need of the gateway. */
export interface Engine {
  cache: {
    lookup (key: string): string | undefined
    store (key: string, value: string, seconds: number): void
  }
  request (request: VaultRequest): Promise<PolicyResponse>
  /** A check that is rejected if the subscription has no calls left; undefined without a limit. */
  limit (kind: LimitKind, calls: number, seconds: number): ((exchange: Exchange) => Promise<void>) | undefined
  /** Applied to requests before their subscription key is checked. */
  cors (policy: CorsPolicy): void
  /** Adds a backend to those that are called. */
  backend (url: string): void
}

/** The effective policy of one API. */
export interface Pipeline {
  begin: Step
  /** If it does not respond, the gateway does. */
  onError: Step
  variables: number
  retries: number
  /** For the checks at the start. */
  facts: Facts
}

export interface Facts {
  /** Values that inbound uses from the cache, with the time for which they are kept. */
  cached: Array<{ place: Element, seconds: number }>
  forwards: Array<{ place: Element, seconds: number }>
}
