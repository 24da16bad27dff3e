import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import querystring from 'node:querystring'
import { promisify } from 'node:util'
import Fastify, { LogController } from 'fastify'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { secrets, secretsLoaded } from '#common/secrets/key-vault.ts'
import { logDestination, loggerOptions } from '#common/telemetry/logger.ts'
import type { Secret } from '#common/secrets/secrets.ts'
import { beginRequest, requests } from '#common/telemetry/requests.ts'
import { logAccess } from './access-log.ts'
import type { Config } from './config.ts'
import { InvalidKey, MissingKey, NoOperation, answerError } from './errors.ts'
import { forward, type Backends, type Response } from './forward.ts'
import { subscriptionKey } from './keys.ts'
import { apis, operations, products, type Api } from './operations.ts'
import { answerCors } from './policy-engine/cors.ts'
import { loadPolicies } from './policy-engine/policies.ts'
import type { Pipeline, SendRequest } from './policy-engine/exchange.ts'
import {
  findSubscription, parseSubscriptions, type Subscription, type Subscriptions
} from './subscriptions.ts'
import { traceOf, type Trace } from './trace.ts'
import { connect } from './upstream.ts'

declare module 'fastify' {
  interface FastifyRequest {
    trace: Trace
    subscription: Subscription | null
    /** Logged with the status. */
    failure: unknown
  }
  interface FastifyContextConfig {
    api?: Api
    operation?: string
  }
}

interface Dependencies {
  logStream?: DestinationStream
  /** Sends the send-requests of the policies. */
  sendRequest?: SendRequest
  /** Overrides of the named values that follow from the settings. */
  namedValues?: Record<string, string>
}

/** Emulates API Management before the services, with the policies in terraform/policies. */
export async function buildApp (config: Config, dependencies: Dependencies = {}) {
  const { logStream = logDestination(), sendRequest, namedValues } = dependencies
  const app = Fastify({
    logger: { ...loggerOptions('gateway', config.LOG_LEVEL), stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    // The access log needs no child logger for each request
    childLoggerFactory: (log, _bindings, options) => 'level' in options ? log.child({}, options) : log,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    requestTimeout: 2 * config.TIMEOUT_MS,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    rewriteUrl: originForm,
    frameworkErrors: (_error, request, reply) => {
      answerUnroutable(request as FastifyRequest, reply as FastifyReply, subscriptions)
    }
  })
  await app.register(secrets, { settings: config.secrets })
  const subscriptions = app.secrets.open('gateway-subscription-keys', parseSubscriptions)
  app.register(closing)
  app.removeAllContentTypeParsers()
  app.decorateRequest('trace')
  app.decorateRequest('subscription', null)
  app.decorateRequest('failure')
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(() => { throw new NoOperation() })
  app.addHook('onRequest', (request, reply, done) => {
    request.trace = traceOf(request.headers)
    logAccess(request, reply)
    done()
  })

  app.register(requests, { traceId: ({ trace }) => trace.id })

  // API Management's own health
  app.get('/status-0123456789abcdef', { logLevel: 'warn' }, async () => {})

  const { policyOf, pagePolicy, cors, services } =
    await loadPolicies(app, config, { sendRequest, namedValues })
  // On Azure the policy is left out without origins
  if (cors?.origins.length) app.addHook('onRequest', answerCors(cors))
  const backends: Backends = {
    services: new Map(services.map((url) => [url, connect(url, config.TIMEOUT_MS)])),
    local: answerEcho,
    timeoutMs: config.TIMEOUT_MS
  }
  app.addHook('onClose', () => Promise.all([...backends.services.values()].map((service) => service.close())))

  for (const name of apis) {
    app.register(api(name, policyOf, backends, subscriptions), { prefix: `/${name}` })
  }
  if (pagePolicy) app.register(auditorPage(pagePolicy, backends), { prefix: '/auditor' })
  if (config.PORTAL !== 'off') await addPortal(app, config)
  return app
}

/** The pages for developers, which API Management has at another address. */
async function addPortal (app: FastifyInstance, config: Config) {
  const { PATIENT_URL, AUDIT_URL, AUDITOR_URL, PORTAL, PORTAL_CHECKS, MONITOR_URL, QUICK_START_DIR } = config
  const [{ portal }, { keysOf }] = await Promise.all([
    import('../portal/portal.ts'), import('../portal/keys.ts')
  ])
  const more = PORTAL_CHECKS.split(' ').filter(Boolean)
    .map((check) => check.split('=', 2) as [string, string])
  const services = { patient: PATIENT_URL, audit: AUDIT_URL, ...(AUDITOR_URL && { auditor: AUDITOR_URL }) }
  const ofServices = Object.entries(services)
    .map(([name, url]): [string, string] => [name, new URL('/health/ready', url).href])
  app.register(portal, {
    keys: PORTAL === 'with-keys' ? app.secrets.open('gateway-subscription-keys', keysOf) : undefined,
    checks: new Map([...ofServices, ...more]),
    monitorUrl: MONITOR_URL,
    hasAuditorPage: AUDITOR_URL !== undefined,
    quickStartDir: QUICK_START_DIR
  })
}

type PolicyOf = Awaited<ReturnType<typeof loadPolicies>>['policyOf']

/** One API: every path under its prefix, known or not, requires a key first. */
function api (name: Api, policyOf: PolicyOf, backends: Backends, subscriptions: Secret<Subscriptions>) {
  return async (guarded: FastifyInstance) => {
    guarded.addHook('onRequest', secretsLoaded)
    guarded.addHook('onRequest', (request) => authorise(request, subscriptions))
    guarded.setNotFoundHandler(() => { throw new NoOperation() })
    for (const { name: operation, method, path } of operations.filter(({ api }) => api === name)) {
      guarded.route({
        method,
        url: path.slice(`/${name}`.length),
        config: { api: name, operation },
        // The service validates the body, so Fastify does not parse it
        preParsing: (request, reply) => {
          forward(policyOf(request.subscription!.product, name, operation), backends, request, reply)
        },
        handler: () => {}
      })
    }
  }
}

/** The auditor's page: every path under its prefix is the service's, and none requires a key. */
function auditorPage (policies: Pipeline, backends: Backends) {
  return async (page: FastifyInstance) => {
    for (const url of ['/', '/*']) {
      page.route({
        method: ['GET', 'POST'],
        url,
        preParsing: (request, reply) => { forward(policies, backends, request, reply) },
        handler: () => {}
      })
    }
  }
}

async function authorise (request: FastifyRequest, subscriptions: Secret<Subscriptions>) {
  const key = subscriptionKey(request)
  if (key === undefined) throw new MissingKey()
  const subscription = await subscriptions.findOrRefresh((versions) => findSubscription(versions, key))
  if (!subscription) throw new InvalidKey()
  request.subscription = subscription
  const { api } = request.routeOptions.config ?? {}
  if (request.is404 || api === undefined) throw new NoOperation()
  const included: readonly Api[] = products[subscription.product]
  if (!included.includes(api)) throw new InvalidKey()
}

/** The response of the Echo API. */
function answerEcho ({ method }: FastifyRequest, url: string): Response {
  const [path, query] = url.split('?', 2)
  const body = JSON.stringify({ method, path, query: querystring.parse(query ?? '') })
  return { statusCode: 200, headers: { 'content-type': 'application/json; charset=utf-8' }, body }
}

/** Answers a path that the router cannot decode: it is of no operation, but may be of an API. */
async function answerUnroutable (request: FastifyRequest, reply: FastifyReply, keys: Secret<Subscriptions>) {
  request.trace = traceOf(request.headers)
  beginRequest(request, reply, request.trace.id)
  logAccess(request, reply)
  try {
    if (apis.includes(/^\/(\w+)(?:[/?]|$)/.exec(request.raw.url!)?.[1] as Api)) {
      await promisify(secretsLoaded)(request, reply)
      await authorise(request, keys)
    }
    throw new NoOperation()
  } catch (error) {
    answerError(error as FastifyError, request, reply)
  }
}

// RFC 9112, 3.2.2: a server accepts the absolute form too
function originForm ({ url = '/' }: IncomingMessage) {
  return url.replace(/^https?:\/\/[^/?#]*/i, '') || '/'
}
