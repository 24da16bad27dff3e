import type { FastifyReply, FastifyRequest } from 'fastify'

/** What the log tells of a request. */
export interface Access {
  identity?: string
  operation?: string
  secret?: string
  version?: string
  resource?: string
  /** An error that the answer does not tell. */
  failure?: unknown
}

declare module 'fastify' {
  interface FastifyRequest {
    access: Access
  }
}

/** Logs one line for `request` when it is over: who did what with which version, never a value. */
export function logAccess (request: FastifyRequest, reply: FastifyReply) {
  request.access = { operation: request.routeOptions?.config?.operation }
  reply.raw.once('close', () => {
    const { failure, ...access } = request.access
    request.log[failure === undefined ? 'info' : 'error']({
      ...access,
      statusCode: reply.raw.headersSent ? reply.raw.statusCode : undefined,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      err: failure
    }, 'access')
  })
}
