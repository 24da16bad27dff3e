import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance { isClosing: () => boolean }
}

/**
 * While the app closes, requests in flight get their answers, and each tells its client that the connection
 * ends: otherwise kept-alive connections would hold the close up.
 */
export const closing = fp(async (app) => {
  let closing = false
  app.decorate('isClosing', () => closing)
  app.addHook('preClose', async () => { closing = true })
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close')
  })
}, { name: 'closing' })
