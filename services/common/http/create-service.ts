import type { IncomingMessage } from 'node:http'
import Fastify, { LogController, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from './closing.ts'
import { jsonBody } from './json-body.ts'
import { childOfTrace, logDestination, loggerOptions } from '../telemetry/logger.ts'
import { sendProblem, isCountedRefusal, problems } from './problems.ts'
import { securityHeaders } from './security-headers.ts'
import { beginRequest, requests } from '../telemetry/requests.ts'
import { traceId } from '../telemetry/trace.ts'
import { validatorCompiler } from './validation.ts'

/** Creates an app with what all services share: JSON bodies, errors, security headers, logs of requests. */
export function createService (
  name: string, { LOG_LEVEL }: { LOG_LEVEL: string }, logStream?: DestinationStream
): FastifyInstance {
  const app = Fastify({
    ...serverOptions(name, LOG_LEVEL, logStream),
    frameworkErrors: (error, request, reply) => {
      answerUnroutable(error, request as unknown as FastifyRequest, reply as unknown as FastifyReply)
    }
  })

  app.setValidatorCompiler(validatorCompiler)
  // What is sent is already in its form; the schemas of responses only describe it in the API's description
  app.setSerializerCompiler(() => JSON.stringify)
  app.register(securityHeaders)
  app.register(requests, { traceId: ({ id }) => id })
  app.register(closing)
  app.register(problems)
  app.register(jsonBody)
  logRequests(app)
  return app
}

/** The options of a server that logs as process `name`, with the trace id of a request as its id. */
export function serverOptions (name: string, level: string, logStream?: DestinationStream) {
  return {
    logger: { ...loggerOptions(name, level), stream: logStream ?? logDestination() },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'trace_id' }),
    childLoggerFactory: childOfTrace,
    genReqId: (request: IncomingMessage) => traceId(request.headers),
    requestIdHeader: false,
    requestTimeout: 20_000,
    // Long ids are answered like any other unknown id
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle'
  } as const
}

/** Logs each request when it has been answered, with its route: a path may contain an id. */
export function logRequests (app: FastifyInstance) {
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions: { url: route } } = request
    const { statusCode, elapsedTime } = reply
    const level = isCountedRefusal(statusCode) ? 'debug' : 'info'
    request.log[level]({ method, route, statusCode, ms: Math.round(elapsedTime * 10) / 10 }, 'request')
    done()
  })
}

/** Answers a request whose path the router cannot decode; no hook runs for it. */
function answerUnroutable (error: Error, request: FastifyRequest, reply: FastifyReply) {
  beginRequest(request, reply, request.id)
  sendProblem(error, request, reply)
}
