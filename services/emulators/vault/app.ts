import Fastify, { LogController, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { closing } from '#common/http/closing.ts'
import { DATABASE_RESOURCE } from '#common/secrets/azure-credential.ts'
import { health } from '#common/http/health.ts'
import { jsonBody } from '#common/http/json-body.ts'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import { validatorCompiler } from '#common/http/validation.ts'
import { logAccess } from './access-log.ts'
import type { Config } from './config.ts'
import { answerError } from './errors.ts'
import { guard } from './guard.ts'
import { managedIdentity } from './managed-identity.ts'
import { secretRoutes } from './secrets.ts'
import { openStore } from './store.ts'
import { Tokens } from './tokens.ts'

/** The resource of tokens for sending telemetry. */
const MONITOR = 'https://monitor.azure.com'

// 25 KiB of value, each character of it escaped, and tags
const BODY_LIMIT = 256 * 1024

/** Emulates the secrets of Key Vault, and the token endpoint for managed identities of Container Apps. */
export async function buildApp (config: Config) {
  const { headerDigests, RESOURCE: resource } = config
  const store = openStore({ dataDir: config.DATA_DIR, unsealKeyFile: config.UNSEAL_KEY_FILE })
  const tokens = new Tokens(store.tokenKey)

  const app = Fastify({
    https: config.tls,
    logger: { ...loggerOptions('vault', config.LOG_LEVEL), stream: lineDestination() },
    logController: new LogController({ disableRequestLogging: true }),
    requestIdHeader: false,
    bodyLimit: BODY_LIMIT,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // A name of any length gets the error of an invalid one; clients send a slash in place of a version
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
    frameworkErrors: (error, request, reply) => {
      logAccess(request as FastifyRequest, reply as FastifyReply)
      answerError(error, request as FastifyRequest, reply as FastifyReply)
    }
  }) as FastifyInstance
  app.addHook('onClose', async () => store.close())
  app.decorateRequest('access')
  app.setValidatorCompiler(validatorCompiler)
  app.setErrorHandler(answerError)

  app.register(closing)
  app.register(health, { ready: () => true })
  app.register(managedIdentity, { headerDigests, resources: [resource, MONITOR, DATABASE_RESOURCE], tokens })
  app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request, reply) => logAccess(request, reply))
    guarded.register(guard, { tokens, resource })
    guarded.register(jsonBody)
    guarded.register(secretRoutes, { store })
  })
  return app
}
