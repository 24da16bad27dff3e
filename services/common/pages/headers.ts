import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'

const SELF = ["'self'"]
const NONE = ["'none'"]
const directives = {
  'default-src': NONE,
  'style-src': SELF,
  'script-src': SELF,
  'connect-src': SELF,
  'img-src': SELF,
  'form-action': SELF,
  'base-uri': NONE,
  'frame-ancestors': NONE
}

/** Sets the security headers of pages: they load only files of their own origin and are not cached. */
export const pageHeaders = fp<{ https: boolean }>(async (app, { https }) => {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives },
    strictTransportSecurity: https
  })
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}, { name: 'page-headers' })

/**
 * Refuses requests under other host names than `names`, which are in lower case: otherwise a site whose name
 * resolves to the loopback address (DNS rebinding) could read the pages.
 */
export const hostNames = fp<{ names: Set<string> }>(async (app, { names }) => {
  app.addHook('onRequest', async ({ headers: { host = '' } }, reply) => {
    if (names.has(host.toLowerCase().replace(/:\d*$/, ''))) return
    return reply.code(421).type('text/plain').send('This page is not served under this host name.\n')
  })
}, { name: 'host-names' })
