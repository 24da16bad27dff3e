import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    isClosing: () => boolean
    /** Announces that the app will close soon; it still answers requests. */
    drain: () => void
  }
}

/**
 * While the app drains or closes, responses have `Connection: close`, so that no client sends a request on a
 * connection that is about to end, and no idle connection delays the close.
 */
export const closing = fp(async (app) => {
  let closing = false
  app.decorate('isClosing', () => closing)
  app.decorate('drain', () => { closing = true })
  app.addHook('preClose', async () => app.drain())
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (closing) reply.header('connection', 'close')
    done(null, payload)
  })
}, { name: 'closing' })
