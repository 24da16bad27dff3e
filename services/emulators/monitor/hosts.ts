import fp from 'fastify-plugin'

/**
 * Answers nobody who calls this machine by another name than `names`: a foreign site that has its own name resolve to
 * the loopback address (DNS rebinding) could else read the page in its visitor's browser.
 */
export const hosts = fp<{ names: Set<string> }>(async (app, { names }) => {
  app.addHook('onRequest', async ({ headers: { host = '' } }, reply) => {
    if (!names.has(host.toLowerCase().replace(/:\d*$/, ''))) {
      return reply.code(421).type('text/plain').send('This page does not go by that name.\n')
    }
  })
}, { name: 'hosts' })
