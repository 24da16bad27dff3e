import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { parseTraceparent } from './trace.ts'
import { beginOperation, runInOperations, type Operation } from './operation.ts'

declare module 'fastify' {
  interface FastifyRequest { operation: Operation | undefined }
}

/** Probes come every second. */
const UNTRACED = /^\/(?:health\/|status-)/
const UNMATCHED = '/(unmatched)'

/** Makes each request an operation, named by its route, of the trace that `traceId` returns. */
export const requests = fp<{ traceId: (request: FastifyRequest) => string }>(async (app, { traceId }) => {
  app.decorateRequest('operation')
  app.addHook('onRequest', (request, reply, done) => {
    beginRequest(request, reply, traceId(request))
    runInOperation(request, done)
  })
  // A body is read in the async context of its connection
  app.addHook('preValidation', (request, _reply, done) => runInOperation(request, done))
}, { name: 'requests' })

/** Begins the operation of a request that the router cannot decode, so that no hook sees it. */
export function beginRequest (request: FastifyRequest, reply: FastifyReply, traceId: string) {
  const route = request.routeOptions?.url ?? UNMATCHED
  if (UNTRACED.test(route)) return
  const parentId = parseTraceparent(request.headers.traceparent)?.parentId
  const operation = beginOperation(request.method, route, traceId, parentId)
  if (!operation) return
  request.operation = operation
  const { raw } = reply
  raw.once('close', () => operation.end(raw.headersSent && raw.writableFinished ? raw.statusCode : undefined))
}

function runInOperation ({ operation }: FastifyRequest, done: () => void) {
  if (operation) runInOperations([operation], done)
  else done()
}
