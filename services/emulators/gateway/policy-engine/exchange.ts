import type { FastifyRequest } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'
import type { CorsPolicy } from './cors.ts'
import type { Element, Section } from './elements.ts'

/** The response to a send-request. */
export class PolicyResponse {
  readonly statusCode: number
  readonly body: string

  constructor (statusCode: number, body: string) {
    this.statusCode = statusCode
    this.body = body
  }
}

/** What expressions read: the `context` of API Management. */
export interface Context {
  readonly request: Pick<
    FastifyRequest,
    'headers' | 'id' | 'ip' | 'method' | 'params' | 'routeOptions' | 'socket' | 'subscription' | 'url'
  >
  /** The header fields that are sent to the service, by their names in lower case. */
  readonly headers: IncomingHttpHeaders
  /** The response of the service, once there is one. */
  readonly response?: { statusCode: number, headers: IncomingHttpHeaders }
  /** The section that failed, in on-error. */
  readonly errorSection?: Section
  readonly variables: Map<string, unknown>
}

export type Evaluate<T = unknown> = (context: Context) => T

/** A request on its way through the policies. */
export interface Exchange extends Context {
  readonly request: FastifyRequest
  /** Path and query that are sent to the service. */
  url: string
  /** The URL of the service; without one, the gateway responds itself. */
  backend?: string
  /** Whether the client has its response, or has closed its connection: no further statement runs. */
  readonly isOver: boolean
  /** Sends the request to the service, and is fulfilled when its response begins. */
  forward (timeoutMs: number, buffer: boolean): Promise<void>
  /** Responds to the client instead of the service. */
  answer (statusCode: number, headers: Record<string, string>, body: string): void
}

export type Step = (exchange: Exchange) => Promise<void> | void

/** The effective policy of one API. If its on-error section does not respond, the gateway does. */
export type Pipeline = Record<Section, Step>

/** The request of a send-request statement. */
export interface VaultRequest {
  url: string
  method: string
  resource: string
  clientId: string
  timeoutMs: number
}

export type SendRequest = (request: VaultRequest) => Promise<PolicyResponse>
export type LimitKind = 'rate-limit' | 'quota'

/** What the statements need of the gateway. */
export interface Engine {
  cache: {
    lookup (key: string): string | undefined
    store (key: string, value: string, seconds: number): void
  }
  sendRequest: SendRequest
  /** A step that fails if the subscription has no calls left. */
  limit (kind: LimitKind, calls: number, seconds: number): Step
}

/** What the policy of an API says, for the checks at the start. */
export interface Facts {
  cors?: CorsPolicy
  /** The URLs of the services. */
  backends: Set<string>
  /** The keys that inbound reads from the cache. */
  lookups: Set<string>
  stores: Array<{ key: string, element: Element, seconds: number }>
  forwards: Array<{ element: Element, seconds: number }>
}
