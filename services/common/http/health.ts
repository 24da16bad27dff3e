import type { FastifyPluginAsync } from 'fastify'

/**
 * `/health/live` answers 200 while the process runs, `/health/ready` from when the service has started until
 * it drains. A later outage of the database does not change readiness: requests then get a 503 that names it.
 */
export const health: FastifyPluginAsync<{ ready: () => boolean }> = async (app, { ready }) => {
  app.get('/health/live', { logLevel: 'warn' }, async () => ({ status: 'live' }))
  app.get('/health/ready', { logLevel: 'warn' }, async (_request, reply) => {
    if (app.isClosing()) return reply.code(503).send({ status: 'closing' })
    if (!ready()) return reply.code(503).send({ status: 'starting' })
    return { status: 'ready' }
  })
}
