import type { FastifyInstance, FastifyRequest } from 'fastify'
import rateLimit from '@fastify/rate-limit'
import type { Config } from '../config.ts'
import { exceeded } from '../errors.ts'
import type { CorsPolicy } from './cors.ts'
import { PolicyError, readDocuments } from './documents.ts'
import { namedValuesOf } from './named-values.ts'
import { sender, settingsVault, type SendRequest } from './requests.ts'
import type { Engine, Facts, Pipeline } from './exchange.ts'
import { compile } from './statements.ts'

/** What the services need at the most to answer or to give up, while something they need is starting. */
const SERVICE_SECONDS = 50

export interface Policies {
  patient: Pipeline
  echo: Pipeline
  /** None if no origin is allowed. */
  cors: CorsPolicy | undefined
  /** The URLs of the services that they call. */
  services: string[]
}

/**
 * The policies in force, compiled from their documents.
 *
 * @throws {PolicyError} they say what this gateway does not know, or what a rotation of keys or the times of the services do not allow
 */
export async function loadPolicies (app: FastifyInstance, config: Config, { sendRequest = requestOf(config), namedValues }: { sendRequest?: SendRequest, namedValues?: Record<string, string> } = {}): Promise<Policies> {
  const documents = readDocuments(config.POLICIES_DIR, { ...namedValuesOf(config), ...namedValues })
  const services = new Set<string>()
  let cors: CorsPolicy | undefined
  const limits = new Map<string, ReturnType<Engine['limit']>>()
  await app.register(rateLimit, { global: false })
  const engine: Engine = {
    cache: new Cache(),
    request: sendRequest,
    backend: (url) => services.add(url),
    cors: (policy) => { cors = policy },
    limit (kind, calls, seconds) {
      // One count for all APIs of the product
      if (!limits.has(kind)) limits.set(kind, calls === 0 ? undefined : limiter(app, kind, calls, seconds))
      return limits.get(kind)
    }
  }
  const pipelines = { patient: compile('patient', documents, engine), echo: compile('echo', documents, engine) }
  if (services.size === 0) throw new PolicyError(documents.patient, 'no <set-backend-service> says where the service is')
  for (const { facts } of Object.values(pipelines)) requireTimes(facts, config)
  return { ...pipelines, cors, services: [...services] }
}

/** @throws {PolicyError} a key would be shown for too long, or a service would have too little time */
function requireTimes ({ cached, forwards }: Facts, { KEY_GRACE_SECONDS }: Config) {
  for (const { place, seconds } of cached) {
    if (seconds >= KEY_GRACE_SECONDS / 2) throw new PolicyError(place, `duration is ${seconds} s, and must be less than half of KEY_GRACE_SECONDS, ${KEY_GRACE_SECONDS} s`)
  }
  for (const { place, seconds } of forwards) {
    if (seconds <= SERVICE_SECONDS) throw new PolicyError(place, `timeout is ${seconds} s, and a service may take ${SERVICE_SECONDS} s`)
  }
}

function requestOf ({ secrets: { source } }: Config): SendRequest {
  return 'KEY_VAULT_URI' in source ? sender() : settingsVault((source as Record<string, string>)['patient-host-key']!)
}

function limiter (app: FastifyInstance, kind: 'rate-limit' | 'quota', calls: number, seconds: number) {
  const check = app.createRateLimit({ max: calls, timeWindow: seconds * 1_000, keyGenerator: ({ subscription }: FastifyRequest) => `${kind} ${subscription!.id}` })
  return async ({ request }: { request: FastifyRequest }) => {
    const result = await check(request)
    if (!result.isAllowed && result.isExceeded) throw exceeded(kind, result.ttlInSeconds)
  }
}

/** The cache of API Management, in this process. */
class Cache {
  #entries = new Map<string, { value: string, until: number }>()

  lookup (key: string) {
    const entry = this.#entries.get(key)
    return entry && entry.until > performance.now() ? entry.value : undefined
  }

  store (key: string, value: string, seconds: number) {
    this.#entries.set(key, { value, until: performance.now() + seconds * 1_000 })
  }
}
