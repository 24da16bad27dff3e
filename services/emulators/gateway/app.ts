import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import querystring from 'node:querystring'
import { promisify } from 'node:util'
import Fastify, { LogController, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { secrets, secretsLoaded } from '#common/secrets/key-vault.ts'
import { logDestination, loggerOptions } from '#common/telemetry/logger.ts'
import type { Secret } from '#common/secrets/secrets.ts'
import { beginRequest, requests } from '#common/telemetry/requests.ts'
import type { Lookup } from '#common/http/upstream.ts'
import { logAccess } from './access-log.ts'
import type { Config } from './config.ts'
import { InvalidKey, MissingKey, NoOperation, answerError } from './errors.ts'
import { forward, type Backends } from './forward.ts'
import { shownKey } from './keys.ts'
import { operations } from './operations.ts'
import { answerCors } from './policies/cors.ts'
import { loadPolicies } from './policies/policies.ts'
import type { SendRequest } from './policies/requests.ts'
import { Subscriptions, findAmong, opens, type Subscription } from './subscriptions.ts'
import { traceOf, type Trace } from './trace.ts'
import { connect } from './upstream.ts'

declare module 'fastify' {
  interface FastifyRequest {
    trace: Trace
    subscription: Subscription | null
    /** What the access log tells besides the status. */
    failure: unknown
  }
  interface FastifyContextConfig {
    operation?: string
  }
}

interface Dependencies {
  logStream?: DestinationStream
  lookup?: Lookup
  /** Sends what the policies ask. */
  sendRequest?: SendRequest
  /** In the place of those that the settings give. */
  namedValues?: Record<string, string>
}

/** The local stand-in of API Management before the patient service: it does what the policies in terraform/policies say. */
export async function buildApp (config: Config, { logStream = logDestination(), lookup, sendRequest, namedValues }: Dependencies = {}) {
  const app = Fastify({
    logger: { ...loggerOptions('gateway', config.LOG_LEVEL), stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    // Each line of the access log is whole, so a child logger a request would be waste
    childLoggerFactory: (logger, _bindings, options) => 'level' in options ? logger.child({}, options) : logger,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    requestTimeout: 2 * config.TIMEOUT_MS,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    rewriteUrl: originForm,
    frameworkErrors: (error, request, reply) => answerUnroutable(error, request as FastifyRequest, reply as FastifyReply, subscriptions)
  })
  await app.register(secrets, { settings: config.secrets })
  const subscriptions: Secret<Subscriptions> = app.secrets.open('gateway-subscription-keys', (keys) => new Subscriptions(JSON.parse(keys)))
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

  const { patient, echo, cors, services } = await loadPolicies(app, config, { sendRequest, namedValues })
  if (cors) app.addHook('onRequest', answerCors(cors))
  const backends: Backends = {
    services: new Map(services.map((url) => [url, connect(url, config.TIMEOUT_MS, lookup)])),
    local: answerEcho,
    timeoutMs: config.TIMEOUT_MS
  }
  app.addHook('onClose', () => Promise.all([...backends.services.values()].map((service) => service.close())))

  app.register(api('patient', subscriptions, (request, reply) => forward(patient, backends, request, reply)), { prefix: '/patient' })
  app.register(api('echo', subscriptions, (request, reply) => forward(echo, backends, request, reply)), { prefix: '/echo' })
  return app
}

type Answer = (request: FastifyRequest, reply: FastifyReply) => void

/** One API: every path under its prefix, known or not, asks for a key first. */
function api (name: 'patient' | 'echo', subscriptions: Secret<Subscriptions>, answer: Answer) {
  return async function (guarded: FastifyInstance) {
    guarded.addHook('onRequest', secretsLoaded)
    guarded.addHook('onRequest', (request) => authorise(request, subscriptions))
    guarded.setNotFoundHandler(() => { throw new NoOperation() })
    for (const { name: operation, method, path } of operations.filter(({ api }) => api === name)) {
      guarded.route({
        method,
        url: path.slice(`/${name}`.length),
        config: { operation },
        // The body is the service's to judge, so the answer comes before Fastify looks at its type
        preParsing: (request, reply) => answer(request, reply),
        handler: () => {}
      })
    }
  }
}

async function authorise (request: FastifyRequest, subscriptions: Secret<Subscriptions>) {
  const key = shownKey(request)
  if (key === undefined) throw new MissingKey()
  const subscription = await subscriptions.findOrRefresh((versions) => findAmong(versions, key))
  if (!subscription) throw new InvalidKey()
  request.subscription = subscription
  const { operation } = request.routeOptions.config ?? {}
  if (request.is404 || operation === undefined) throw new NoOperation()
  if (!opens(subscription, operation)) throw new InvalidKey()
}

/** The backend of the Echo API. */
function answerEcho ({ method }: FastifyRequest, url: string) {
  const [path, query] = url.split('?', 2)
  return { method, path, query: { ...querystring.parse(query ?? '') } }
}

/** Answers a path that the router cannot decode: no operation has it, but an API may. */
async function answerUnroutable (_error: FastifyError, request: FastifyRequest, reply: FastifyReply, subscriptions: Secret<Subscriptions>) {
  request.trace = traceOf(request.headers)
  beginRequest(request, reply, request.trace.id)
  logAccess(request, reply)
  try {
    if (/^\/(?:patient|echo)(?:[/?]|$)/.test(request.raw.url!)) {
      await promisify(secretsLoaded)(request, reply)
      await authorise(request, subscriptions)
    }
    throw new NoOperation()
  } catch (error) {
    answerError(error as FastifyError, request, reply)
  }
}

// RFC 9112, 3.2.2: a server takes the absolute form too
function originForm ({ url = '/' }: IncomingMessage) {
  return url.replace(/^https?:\/\/[^/?#]*/i, '') || '/'
}
