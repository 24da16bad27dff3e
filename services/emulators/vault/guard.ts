import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { allows, identities, type DataAction, type Identity } from './access.ts'
import { BadParameter, ForbiddenByRbac, InvalidToken, MissingToken } from './errors.ts'
import { AUTHORITY, TENANT_ID, type Tokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The name of the route in the log. */
    operation?: string
    /** What the caller's role must allow. */
    action?: DataAction
  }
}

const SECRET_NAME = /^[0-9A-Za-z-]{1,127}$/
// 7.0 to 7.6, then dates
const API_VERSION = /^(?:7\.\d|20\d\d-\d\d-\d\d)(?:-preview(?:\.\d)?)?$/
const LATEST = '2025-07-01'

const VAULT = `/subscriptions/${TENANT_ID}/resourcegroups/local/providers/microsoft.keyvault/vaults/local`

/**
 * Requires a token for this vault, of an identity whose role allows the operation: before the body is read,
 * since SDKs first send a request without one to get the challenge, and before the secret is looked up, so
 * that nobody else can find out whether it exists.
 */
export const guard = fp<{ tokens: Tokens, resource: string }>(async (app, { tokens, resource }) => {
  app.addHook('onRequest', async (request, reply) => {
    const { authorization } = request.headers
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    const clientId = token && tokens.verify(token, resource)
    const identity = identities.find((one) => one.clientId === clientId)
    if (!identity) {
      reply.header('www-authenticate', `Bearer authorization="${AUTHORITY}", resource="${resource}"`)
      throw authorization === undefined ? new MissingToken() : new InvalidToken()
    }
    request.access.identity = identity.name
    requireApiVersion(request)
    if (!request.is404) authorise(request, identity)
  })
}, { name: 'guard' })

function requireApiVersion ({ query }: FastifyRequest) {
  const version = (query as Record<string, unknown>)['api-version']
  if (version === undefined || version === '') throw new BadParameter('api-version must be specified')
  if (typeof version === 'string' && API_VERSION.test(version)) return
  const message = 'The specified version is not recognized. Consider using the latest supported version'
  throw new BadParameter(`${message} (${LATEST}).`)
}

function authorise ({ params, access, routeOptions }: FastifyRequest, identity: Identity) {
  const path = params as { name?: string, version?: string }
  if (path.name !== undefined) {
    if (!SECRET_NAME.test(path.name)) throw new BadParameter('The request URI contains an invalid name')
    // Names are case-insensitive
    access.secret = path.name = path.name.toLowerCase()
  }
  const { action } = routeOptions.config
  if (action && allows(identity, action, path.name)) return
  const resource = path.name === undefined ? VAULT : `${VAULT}/secrets/${path.name}`
  throw new ForbiddenByRbac(identity.clientId, AUTHORITY, action ?? '', resource)
}
