import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    isClosing: () => boolean
    /** Says that the app is about to close, while it takes requests all the same. */
    drain: () => void
  }
}

/**
 * While the app drains and closes, each answer tells its client that the connection ends: clients let go of the
 * connections they keep, and none of them meets a request with its end or holds the close up.
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
