import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Identity } from './access.ts'
import { logAccess } from './access-log.ts'
import type { Tokens } from './tokens.ts'

const API_VERSION = '2019-08-01'

class IdentityError extends Error {
  override name = 'IdentityError'
  readonly statusCode: number

  constructor (statusCode: number, message: string) {
    super(message)
    this.statusCode = statusCode
  }
}

interface Options {
  identities: Identity[]
  /** The SHA-256 of each identity's header. */
  headerDigests: Map<string, Buffer>
  resources: string[]
  tokens: Tokens
}

/**
 * The token endpoint of Container Apps. There the platform gives the header to the replicas with the identity; here
 * the process that starts them does, so that each gets tokens only for its own identity.
 *
 * Source: REST endpoint reference of managed identities for App Service, api-version 2019-08-01.
 */
export const managedIdentity: FastifyPluginAsync<Options> = async (app, { identities, headerDigests, resources, tokens }) => {
  app.addHook('onRequest', async (request, reply) => logAccess(request, reply))
  app.setErrorHandler(answerError)

  app.get('/msi/token', { config: { operation: 'getToken' } }, async (request, reply) => {
    const caller = callerOf(request)
    const { 'api-version': version, resource, client_id: clientId } = request.query as Record<string, unknown>
    if (version !== API_VERSION) throw new IdentityError(400, `The api-version must be ${API_VERSION}.`)
    if (typeof resource !== 'string') throw new IdentityError(400, 'The parameter resource is missing.')
    // The SDKs ask for https://monitor.azure.com/ with a slash, and for vaults without
    const aud = resource.replace(/\/$/, '')
    if (!resources.includes(aud)) throw new IdentityError(400, 'AADSTS500011: The resource principal was not found in the tenant.')
    request.access.resource = aud
    if (typeof clientId !== 'string' || clientId.toLowerCase() !== caller.clientId) {
      throw new IdentityError(400, 'No User Assigned Managed Identity found for specified ClientId/ResourceId/PrincipalId.')
    }
    const { token, exp } = tokens.issue(caller.clientId, aud)
    reply.header('cache-control', 'no-store')
    return { access_token: token, expires_on: String(exp), resource, token_type: 'Bearer', client_id: caller.clientId }
  })

  function callerOf (request: FastifyRequest) {
    const header = request.headers['x-identity-header']
    if (typeof header !== 'string') throw new IdentityError(400, 'The header X-IDENTITY-HEADER is missing.')
    const shown = createHash('sha256').update(header).digest()
    const caller = identities.find(({ name }) => {
      const digest = headerDigests.get(name)
      return digest && timingSafeEqual(digest, shown)
    })
    if (!caller) throw new IdentityError(401, 'The header X-IDENTITY-HEADER is not one of this endpoint.')
    request.access.identity = caller.name
    return caller
  }
}

function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  if (error instanceof IdentityError) {
    const { statusCode, message } = error
    return reply.code(statusCode).send({ statusCode, message })
  }
  request.access.failure = error
  return reply.code(500).send({ statusCode: 500, message: 'The endpoint has a defect.' })
}
