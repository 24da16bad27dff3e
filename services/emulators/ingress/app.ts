import Fastify, { LogController, type FastifyInstance } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import type { Config } from './config.ts'
import { pass } from './pass.ts'
import { Replicas } from './replicas.ts'

/** The local stand-in of what Container Apps has before an app: it starts and ends replicas, and passes requests on to them. */
export async function buildApp (config: Config, { logStream = lineDestination() }: { logStream?: DestinationStream } = {}): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { ...loggerOptions(`${config.APP_NAME} ingress`, config.LOG_LEVEL), stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (logger) => logger,
    requestIdHeader: false,
    // A body may take as long as the service has patience
    requestTimeout: 0,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // What the path says is the service's to judge
    rewriteUrl: () => '/'
  })
  app.register(closing)
  app.removeAllContentTypeParsers()

  const replicas = new Replicas(config, app.log)
  app.addHook('preClose', async () => replicas.retire())
  app.addHook('onClose', () => replicas.end())

  app.all('/', {
    // Before Fastify looks at the type of the body
    preParsing: (request, reply) => pass(replicas, config.REQUEST_SECONDS * 1_000, request, reply),
    handler: () => {}
  })
  return app
}
