import { readFileSync } from 'node:fs'
import helmet from '@fastify/helmet'
import Fastify, { LogController, type FastifyError, type FastifyInstance } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { connectionString, database } from '#common/database.ts'
import { health } from '#common/http/health.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import { recordsOf } from './audit-records.ts'
import type { Config } from './config.ts'
import { Traffic } from './figures.ts'
import { hosts } from './hosts.ts'
import { createIngestion } from './ingestion.ts'
import { Operations } from './operations.ts'
import { apiRoutes, pageRoutes } from './routes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Where telemetry comes in, a server of its own. */
    ingestion: FastifyInstance
  }
}

const read = (file: string) => readFileSync(new URL(file, import.meta.url))

/** The local stand-in of Application Insights: its ingestion, and a page that shows what came. */
export async function buildApp (config: Config, { logStream = lineDestination() }: { logStream?: DestinationStream } = {}): Promise<FastifyInstance> {
  const operations = new Operations({ operations: config.MAX_OPERATIONS, bytes: config.MAX_BYTES })
  const traffic = new Traffic()

  const app: FastifyInstance = Fastify({
    logger: { ...loggerOptions('monitor', config.LOG_LEVEL), stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: 20_000,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 }
  })
  const ingestion = createIngestion({
    config,
    log: app.log,
    take (item) {
      const isNew = item.operationId === '' || operations.add(item)
      if (isNew && item.kind === 'request') traffic.add(item)
    }
  })
  app.decorate('ingestion', ingestion)
  app.addHook('onReady', async () => { await ingestion.listen({ host: config.INGESTION_HOST, port: config.INGESTION_PORT, listenTextResolver: () => 'ingestion listening' }) })
  app.addHook('onClose', () => ingestion.close())

  if (config.secrets) {
    await app.register(secrets, { settings: config.secrets })
    await app.register(database, { connection: connectionString(app.secrets, 'audit-db-viewer-connection'), name: config.DATABASE_NAME, indexes: [] })
  }

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { statusCode = 500 } = error
    if (statusCode >= 500) request.log.error({ err: error }, 'defect')
    return reply.code(statusCode).type('text/plain').send(statusCode >= 500 ? 'The monitor has a defect.\n' : 'The request cannot be understood.\n')
  })
  app.register(closing)
  app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'style-src': ["'self'"],
        'script-src': ["'self'"],
        'connect-src': ["'self'"],
        'img-src': ["'self'"],
        'form-action': ["'self'"],
        'base-uri': ["'none'"],
        'frame-ancestors': ["'none'"]
      }
    },
    // Plain HTTP on this machine
    strictTransportSecurity: false
  })
  app.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-store') })
  app.register(hosts, { names: config.pageNames })
  app.register(health, { ready: () => ingestion.server.listening })
  app.register(pageRoutes, {
    operations,
    traffic,
    recordsOf: recordsOf(config.secrets && app.database, app.log),
    style: read('./monitor.css'),
    script: read('./monitor.js')
  })
  app.register(apiRoutes, { operations, traffic })
  return app
}
