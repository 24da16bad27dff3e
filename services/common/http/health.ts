import type { FastifyPluginAsync } from 'fastify'

/**
 * `/health/live` says that the process answers; `/health/ready` that it has what it needs to start work
 * and is neither draining nor closing. An outage of the database after the start does not change readiness: the service then
 * answers 503 itself, with its reason.
 */
export const health: FastifyPluginAsync<{ ready: () => boolean }> = async (app, { ready }) => {
  app.get('/health/live', { logLevel: 'warn' }, async () => ({ status: 'live' }))
  app.get('/health/ready', { logLevel: 'warn' }, async (_request, reply) => {
    if (app.isClosing()) return reply.code(503).send({ status: 'closing' })
    if (!ready()) return reply.code(503).send({ status: 'starting' })
    return { status: 'ready' }
  })
}
