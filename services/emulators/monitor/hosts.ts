import fp from 'fastify-plugin'

/**
 * Answers 421 unless the host name is one of `names`. Otherwise a foreign site whose name resolves to the
 * loopback address (DNS rebinding) could read the pages in a visitor's browser.
 */
export const hosts = fp<{ names: Set<string> }>(async (app, { names }) => {
  app.addHook('onRequest', async ({ headers: { host = '' } }, reply) => {
    if (names.has(host.toLowerCase().replace(/:\d*$/, ''))) return
    return reply.code(421).type('text/plain').send('This page is not served under this host name.\n')
  })
}, { name: 'hosts' })
