import Fastify, { LogController, type FastifyInstance } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import type { Config } from './config.ts'
import { FoundReplicas, type Lookup } from './found-replicas.ts'
import { pass } from './pass.ts'

interface Dependencies {
  logStream?: DestinationStream
  lookup?: Lookup
}

/** The local stand-in for the ingress of a container app: it passes each request on to a replica. */
export async function buildApp (config: Config, dependencies: Dependencies = {}) {
  const { logStream = lineDestination(), lookup } = dependencies
  const app: FastifyInstance = Fastify({
    logger: { ...loggerOptions(`${config.APP_NAME} ingress`, config.LOG_LEVEL), stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (logger) => logger,
    requestIdHeader: false,
    // The service decides how long a body may take
    requestTimeout: 0,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // The service decides about the path
    rewriteUrl: () => '/'
  })
  app.register(closing)
  app.removeAllContentTypeParsers()

  const replicas = config.APP_ADDRESS === undefined
    // Imported only where it is needed: the image has no use for it
    ? new (await import('./scaled-replicas.ts')).ScaledReplicas(config, app.log)
    : new FoundReplicas(config, app.log, lookup)
  app.addHook('preClose', async () => replicas.retire())
  app.addHook('onClose', () => replicas.end())

  app.all('/', {
    // Before Fastify checks the type of the body
    preParsing: (request, reply) => { pass(replicas, config.REQUEST_SECONDS * 1_000, request, reply) },
    handler: () => {}
  })
  return app
}
