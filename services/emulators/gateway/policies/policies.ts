import type { FastifyInstance, FastifyRequest } from 'fastify'
import rateLimit from '@fastify/rate-limit'
import type { Config } from '../config.ts'
import { exceeded } from '../errors.ts'
import { compile } from './compile.ts'
import { readDocuments } from './documents.ts'
import { refuse } from './elements.ts'
import type { Engine, Facts, LimitKind, SendRequest, Step } from './exchange.ts'
import { sender, settingsVault } from './requests.ts'

/** The longest that a service takes to respond, while something that it needs is starting. */
const SERVICE_SECONDS = 50

/** How long a host key from the settings is cached. */
const UNCHANGING_SECONDS = 60

interface Overrides {
  sendRequest?: SendRequest
  namedValues?: Record<string, string>
}

/**
 * Reads and compiles the policies. `services` are the URLs of the services that they call.
 *
 * @throws {PolicyError} they are not supported, or leave no time for a rotation of keys or for a service
 */
export async function loadPolicies (
  app: FastifyInstance, config: Config, { sendRequest = senderOf(config), namedValues }: Overrides = {}
) {
  const documents = readDocuments(config.POLICIES_DIR, { ...namedValuesOf(config), ...namedValues })
  await app.register(rateLimit, { global: false })
  // Calls are counted over all APIs of the product
  const limits = new Map<LimitKind, Step>()
  const engine: Engine = {
    cache: new Cache(),
    sendRequest,
    limit: (kind, ...limit) => limits.getOrInsertComputed(kind, () => limiter(app, kind, ...limit))
  }
  const patient = compile('patient', documents, engine)
  const echo = compile('echo', documents, engine)
  const services = [...patient.facts.backends]
  if (services.length === 0) refuse(documents.patient, 'the inbound section requires <set-backend-service>')
  for (const { facts } of [patient, echo]) checkTimes(facts, config)
  return { patient: patient.pipeline, echo: echo.pipeline, cors: patient.facts.cors, services }
}

/** The named values of API Management, from the settings. 0 calls are no limit. */
function namedValuesOf ({ secrets: { source }, ...config }: Config): Record<string, string> {
  const vault = 'KEY_VAULT_URI' in source ? source : undefined
  return {
    'patient-backend-url': new URL(config.PATIENT_URL).origin,
    'key-vault-uri': vault ? new URL(vault.KEY_VAULT_URI).origin : 'https://settings',
    'host-key-cache-seconds': String(vault?.KEY_REFRESH_SECONDS ?? UNCHANGING_SECONDS),
    'gateway-identity-client-id': vault?.AZURE_CLIENT_ID ?? '',
    'calls-per-minute': String(config.RATE_LIMIT),
    'calls-per-day': String(config.CALLS_PER_DAY),
    'require-on-behalf-of': config.REQUIRE_ON_BEHALF_OF,
    'require-purpose-of-use': config.REQUIRE_PURPOSE_OF_USE,
    'cors-origins': config.CORS_ORIGINS ?? ''
  }
}

function senderOf ({ secrets: { source } }: Config): SendRequest {
  return 'KEY_VAULT_URI' in source ? sender() : settingsVault(source['patient-host-key']!)
}

/** @throws {PolicyError} a key would be cached for too long, or a service would have too little time */
function checkTimes ({ lookups, stores, forwards }: Facts, { KEY_GRACE_SECONDS }: Config) {
  for (const { element, seconds } of stores.filter(({ key }) => lookups.has(key))) {
    if (seconds < KEY_GRACE_SECONDS / 2) continue
    const limit = `less than half of KEY_GRACE_SECONDS, ${KEY_GRACE_SECONDS} s`
    refuse(element, `duration is ${seconds} s, and must be ${limit}`)
  }
  for (const { element, seconds } of forwards) {
    if (seconds > SERVICE_SECONDS) continue
    refuse(element, `timeout is ${seconds} s, and a service may take ${SERVICE_SECONDS} s`)
  }
}

function limiter (app: FastifyInstance, kind: LimitKind, calls: number, seconds: number): Step {
  if (calls === 0) return () => {}
  const keyGenerator = ({ subscription }: FastifyRequest) => `${kind} ${subscription!.id}`
  const check = app.createRateLimit({ max: calls, timeWindow: seconds * 1_000, keyGenerator })
  return async ({ request }) => {
    const result = await check(request)
    if (!result.isAllowed && result.isExceeded) throw exceeded(kind, result.ttlInSeconds)
  }
}

/** The internal cache of API Management. */
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
