import type { FastifyReply, FastifyRequest } from 'fastify'

/** What is logged of a request. */
export interface Access {
  identity?: string
  operation?: string
  secret?: string
  version?: string
  resource?: string
  /** An error that the response does not contain. */
  failure?: unknown
}

declare module 'fastify' {
  interface FastifyRequest { access: Access }
}

/** Logs one line when `request` has ended: the caller, the operation and the version, never a value. */
export function logAccess (request: FastifyRequest, reply: FastifyReply) {
  request.access = { operation: request.routeOptions?.config?.operation }
  reply.raw.once('close', () => {
    const { failure: err, ...access } = request.access
    const statusCode = reply.raw.headersSent ? reply.raw.statusCode : undefined
    const ms = Math.round(reply.elapsedTime * 10) / 10
    request.log[err === undefined ? 'info' : 'error']({ ...access, statusCode, ms, err }, 'access')
  })
}
