import Fastify, { LogController } from 'fastify'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { connectionString, database } from '#common/database.ts'
import { health } from '#common/http/health.ts'
import { hostNames, pageHeaders } from '#common/pages/headers.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import { recordsReader } from './audit-records.ts'
import type { Config } from './config.ts'
import { Traffic } from './figures.ts'
import { createIngestion } from './ingestion.ts'
import { Operations } from './operations.ts'
import { apiRoutes, pageRoutes } from './routes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The server that receives telemetry. */
    ingestion: FastifyInstance
  }
}

/** The local stand-in for Application Insights: its ingestion endpoint, and pages that show the telemetry. */
export async function buildApp (config: Config, logStream: DestinationStream = lineDestination()) {
  const app: FastifyInstance = Fastify({
    logger: { ...loggerOptions('monitor', config.LOG_LEVEL), stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: 20_000,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 }
  })
  const operations = new Operations({ operations: config.MAX_OPERATIONS, bytes: config.MAX_BYTES })
  const traffic = new Traffic()
  addIngestion(app, config, operations, traffic)

  if (config.secrets) {
    await app.register(secrets, { settings: config.secrets })
    const connection = connectionString(app.secrets, 'audit-db-viewer-connection')
    await app.register(database, { connection, name: config.DATABASE_NAME, indexes: [] })
  }

  app.setErrorHandler(answerError)
  app.register(closing)
  // The pages are served over plain HTTP, on this machine
  await app.register(pageHeaders, { https: false })
  app.register(hostNames, { names: config.pageNames })
  app.register(health, { ready: () => app.ingestion.server.listening })
  const readRecords = recordsReader(config.secrets && app.database, app.log)
  app.register(pageRoutes, { operations, traffic, readRecords })
  app.register(apiRoutes, { operations, traffic })
  return app
}

function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const { statusCode = 500 } = error
  reply.code(statusCode).type('text/plain')
  if (statusCode < 500) return reply.send('The request is malformed.\n')
  request.log.error({ err: error }, 'the request failed with an internal error')
  return reply.send('Internal error: see the log of the monitor.\n')
}

function addIngestion (app: FastifyInstance, config: Config, operations: Operations, traffic: Traffic) {
  const ingestion = createIngestion(config, app.log, (item) => {
    const isNew = item.operationId === '' || operations.add(item)
    if (isNew && item.kind === 'request') traffic.add(item)
  })
  app.decorate('ingestion', ingestion)
  app.addHook('onReady', async () => {
    const { INGESTION_HOST: host, INGESTION_PORT: port } = config
    await ingestion.listen({ host, port, listenTextResolver: () => 'ingestion listening' })
  })
  app.addHook('onClose', () => ingestion.close())
}
