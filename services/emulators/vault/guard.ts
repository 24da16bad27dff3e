import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { SECRET_NAME, allows, type DataAction, type Identity } from './access.ts'
import { BadParameter, ForbiddenByRbac, InvalidToken, MissingToken } from './errors.ts'
import { AUTHORITY, TENANT_ID, type Tokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** By which the log tells the route. */
    operation?: string
    /** What the caller's role must allow. */
    action?: DataAction
  }
}

interface Options {
  identities: Identity[]
  tokens: Tokens
  resource: string
}

// 7.0 to 7.6, then dates
const API_VERSION = /^(?:7\.\d|20\d\d-\d\d-\d\d)(?:-preview(?:\.\d)?)?$/
const LATEST = '2025-07-01'

const VAULT = `/subscriptions/${TENANT_ID}/resourcegroups/local/providers/microsoft.keyvault/vaults/local`

/**
 * Lets a request pass whose token is for this vault and names an identity that has the right to it. All is said before
 * a body is read: clients send their first request without one, to learn from the challenge where tokens come from.
 *
 * The right is asked for before the secret, so that who has none cannot tell whether there is one.
 */
export const guard = fp<Options>(async (app, { identities, tokens, resource }) => {
  app.addHook('onRequest', async (request, reply) => {
    const identity = identify(request)
    if (!identity) {
      reply.header('www-authenticate', `Bearer authorization="${AUTHORITY}", resource="${resource}"`)
      throw request.headers.authorization === undefined ? new MissingToken() : new InvalidToken()
    }
    request.access.identity = identity.name
    requireApiVersion(request)
    if (!request.is404) authorise(request, identity)
  })

  function identify ({ headers: { authorization = '' } }: FastifyRequest) {
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
    const clientId = token && tokens.verify(token, resource)
    return identities.find((identity) => identity.clientId === clientId)
  }
}, { name: 'guard' })

function requireApiVersion ({ query }: FastifyRequest) {
  const version = (query as Record<string, unknown>)['api-version']
  if (version === undefined || version === '') throw new BadParameter('api-version must be specified')
  if (typeof version !== 'string' || !API_VERSION.test(version)) throw new BadParameter(`The specified version is not recognized. Consider using the latest supported version (${LATEST}).`)
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
  const what = path.name === undefined ? VAULT : `${VAULT}/secrets/${path.name}`
  throw new ForbiddenByRbac(identity.clientId, AUTHORITY, action ?? '', what)
}
