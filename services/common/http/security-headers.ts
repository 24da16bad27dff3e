import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'

/** Sets the security headers of an API on every response. Source: OWASP's REST security cheat sheet. */
export const securityHeaders = fp(async (app) => {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false, directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] }
    },
    frameguard: { action: 'deny' },
    // These concern pages, or browsers that are no longer supported
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    dnsPrefetchControl: false,
    ieNoOpen: false,
    permittedCrossDomainPolicies: false,
    xssFilter: false
  })
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
}, { name: 'security-headers' })
