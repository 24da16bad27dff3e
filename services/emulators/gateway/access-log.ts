import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Subscription } from './subscriptions.ts'

/** Logs one line for `request` when it has ended, with its route: a path contains ids of patients. */
export function logAccess (request: FastifyRequest, reply: FastifyReply) {
  reply.raw.once('close', () => {
    const { method, failure, log } = request
    const aborted = !reply.raw.writableFinished
    log[failure === undefined ? 'info' : 'warn']({
      method,
      route: request.routeOptions.url,
      statusCode: reply.raw.headersSent ? reply.raw.statusCode : undefined,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      trace_id: request.trace.id,
      requestId: request.id,
      subscription: nameOf(request.subscription),
      aborted: aborted || undefined,
      err: failure
    }, aborted ? 'request aborted' : 'request')
  })
}

/** The id of a subject's subscription contains that of the patient. */
function nameOf (subscription: Subscription | null) {
  return subscription?.product === 'subject-access' ? subscription.product : subscription?.id
}
