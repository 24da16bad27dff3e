import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyError, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { identities } from './access.ts'
import { logAccess } from './access-log.ts'
import type { Tokens } from './tokens.ts'

const API_VERSION = '2019-08-01'
const NO_IDENTITY = 'No User Assigned Managed Identity found for specified ClientId/ResourceId/PrincipalId.'

interface Options {
  /** The SHA-256 of each identity's header. */
  headerDigests: Map<string, Buffer>
  resources: string[]
  tokens: Tokens
}

/**
 * The token endpoint of Container Apps. The platform gives each replica the header of its identity; here the
 * process that starts them does, so that each process gets tokens only for its own identity.
 * Source: REST endpoint reference of managed identities for App Service, api-version 2019-08-01.
 */
export const managedIdentity: FastifyPluginAsync<Options> = async (app, options) => {
  const { headerDigests, resources, tokens } = options
  app.addHook('onRequest', async (request, reply) => logAccess(request, reply))
  app.setErrorHandler(answerError)

  app.get('/msi/token', { config: { operation: 'getToken' } }, async (request, reply) => {
    const caller = callerOf(request, headerDigests)
    const { 'api-version': version, resource, client_id: clientId } = request.query as Record<string, unknown>
    if (version !== API_VERSION) throw failure(400, `The api-version must be ${API_VERSION}.`)
    if (typeof resource !== 'string') throw failure(400, 'The parameter resource is missing.')
    // The SDKs send https://monitor.azure.com/ with a slash, and vaults without
    const aud = resource.replace(/\/$/, '')
    if (!resources.includes(aud)) {
      throw failure(400, 'AADSTS500011: The resource principal was not found in the tenant.')
    }
    request.access.resource = aud
    const isOwn = typeof clientId === 'string' && clientId.toLowerCase() === caller.clientId
    if (!isOwn) throw failure(400, NO_IDENTITY)
    const { token, exp } = tokens.issue(caller.clientId, aud)
    reply.header('cache-control', 'no-store')
    const about = { expires_on: String(exp), resource, token_type: 'Bearer', client_id: caller.clientId }
    return { access_token: token, ...about }
  })
}

function callerOf ({ headers, access }: FastifyRequest, headerDigests: Map<string, Buffer>) {
  const header = headers['x-identity-header']
  if (typeof header !== 'string') throw failure(400, 'The header X-IDENTITY-HEADER is missing.')
  const digest = createHash('sha256').update(header).digest()
  const caller = identities.find(({ name }) => {
    const own = headerDigests.get(name)
    return own && timingSafeEqual(own, digest)
  })
  if (!caller) throw failure(401, 'The header X-IDENTITY-HEADER is not one of this endpoint.')
  access.identity = caller.name
  return caller
}

function failure (statusCode: number, message: string) {
  return Object.assign(new Error(message), { statusCode })
}

function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const { statusCode = 500, message } = error
  if (statusCode < 500) return reply.code(statusCode).send({ statusCode, message })
  request.access.failure = error
  return reply.code(500).send({ statusCode: 500, message: 'The endpoint has a defect.' })
}
