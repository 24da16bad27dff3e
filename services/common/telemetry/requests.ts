import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parseTraceparent } from './trace.ts'
import { beginOperation, runInOperations, type Operation } from './operation.ts'

declare module 'fastify' {
  interface FastifyRequest { operation: Operation | undefined }
}

/** Probes come by the second and say nothing. */
const UNTOLD = /^\/(?:health\/|status-)/
export const UNMATCHED = '/(unmatched)'

/** Makes each request an operation, named by its route; `traceId` tells which trace it is of. */
export const requests = fp<{ traceId: (request: FastifyRequest) => string }>(async (app, { traceId }) => {
  app.decorateRequest('operation')
  app.addHook('onRequest', (request, reply, done) => {
    beginRequest(request, reply, traceId(request))
    within(request, done)
  })
  // What reads a body comes from its connection, and knows nothing of the request
  app.addHook('preValidation', (request, _reply, done) => within(request, done))
}, { name: 'requests' })

/** Begins the operation of a request that no hook sees, since the router cannot read it. */
export function beginRequest (request: FastifyRequest, reply: FastifyReply, traceId: string) {
  const route = request.routeOptions?.url ?? UNMATCHED
  if (UNTOLD.test(route)) return
  const operation = beginOperation(request.method, route, traceId, parseTraceparent(request.headers.traceparent)?.parentId)
  if (!operation) return
  request.operation = operation
  const { raw } = reply
  raw.once('close', () => operation.end(raw.headersSent && raw.writableFinished ? raw.statusCode : undefined))
}

function within ({ operation }: FastifyRequest, done: () => void) {
  if (operation) runInOperations(operation.asList, done)
  else done()
}
