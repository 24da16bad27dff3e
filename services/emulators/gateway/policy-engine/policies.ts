import type { FastifyInstance, FastifyRequest } from 'fastify'
import rateLimit from '@fastify/rate-limit'
import type { Config } from '../config.ts'
import { exceeded } from '../errors.ts'
import { compile } from './compile.ts'
import { OF_REGISTER, productNames, type Api, type Product } from '../operations.ts'
import { readDocuments, readPageDocuments, type Documents } from './documents.ts'
import { refuse } from './elements.ts'
import type { Engine, Facts, LimitKind, Pipeline, SendRequest, Step } from './exchange.ts'
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
 * Reads and compiles the policies. `services` are the URLs of the services that they call, `pagePolicy` is
 * that of the auditor's page, if the gateway has one.
 *
 * @throws {PolicyError} they are not supported, or leave no time for a rotation of keys or for a service
 */
export async function loadPolicies (
  app: FastifyInstance, config: Config, { sendRequest = senderOf(config), namedValues }: Overrides = {}
) {
  const values = { ...namedValuesOf(config), ...namedValues }
  const documents = readDocuments(config.POLICIES_DIR, productNames, values)
  await app.register(rateLimit, { global: false })
  // Calls are counted over all APIs of the product
  const limits = new Map<LimitKind, Step>()
  const engine: Engine = {
    cache: new Cache(),
    sendRequest,
    limit: (kind, ...limit) => limits.getOrInsertComputed(kind, () => limiter(app, kind, ...limit))
  }
  const policies = [...documents].map(([product, all]) => ({ product, ...compileAll(all, engine) }))
  const facts = policies.flatMap(({ patient, audit, accessLog, echo }) =>
    [patient, audit, accessLog, echo].map(({ facts }) => facts))
  const page = config.AUDITOR_URL === undefined ? undefined : compilePage(config, values, engine)
  if (page) facts.push(page.facts)
  for (const each of facts) checkTimes(each, config)
  const pipelines = new Map(policies.map(({ product, patient, audit, accessLog, echo }) => [product, {
    apis: { patient: patient.pipeline, audit: audit.pipeline, log: audit.pipeline, echo: echo.pipeline },
    operations: Object.fromEntries(OF_REGISTER.map((name): [string, Pipeline] => [name, accessLog.pipeline]))
  }]))
  const services = new Set(facts.flatMap(({ backends }) => [...backends]))
  /** The policy of an operation for the subscriptions of a product. */
  const policyOf = (product: Product, api: Api, operation: string) => {
    const { apis, operations } = pipelines.get(product)!
    return operations[operation] ?? apis[api]
  }
  return { policyOf, pagePolicy: page?.pipeline, cors: facts[0]!.cors, services: [...services] }
}

/** The effective policies for one product. */
function compileAll ({ global, product, patient, audit, echo }: Documents, engine: Engine) {
  const policies = {
    patient: compile([patient, product, global], engine),
    audit: compile([audit, product, global], engine),
    // An operation of the patient API that the audit service carries out
    accessLog: compile([audit, patient, product, global], engine),
    echo: compile([echo, product, global], engine)
  }
  const isForService = policies.patient.facts.backends.size > 0
  if (!isForService) refuse(patient, 'the inbound section requires <set-backend-service>')
  return policies
}

function compilePage ({ POLICIES_DIR }: Config, values: Record<string, string>, engine: Engine) {
  const { auditor, global } = readPageDocuments(POLICIES_DIR, values)
  return compile([auditor, global], engine)
}

/** The named values of API Management, from the settings. 0 calls are no limit. */
function namedValuesOf ({ secrets: { source }, ...config }: Config): Record<string, string> {
  const vault = 'KEY_VAULT_URI' in source ? source : undefined
  return {
    'patient-backend-url': new URL(config.PATIENT_URL).origin,
    'audit-backend-url': new URL(config.AUDIT_URL).origin,
    ...(config.AUDITOR_URL && { 'auditor-backend-url': new URL(config.AUDITOR_URL).origin }),
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
  return 'KEY_VAULT_URI' in source ? sender() : settingsVault(source)
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
