import Fastify from 'fastify'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { DestinationStream } from 'pino'
import { closing } from '#common/http/closing.ts'
import { logRequests, serverOptions } from '#common/http/create-service.ts'
import { health } from '#common/http/health.ts'
import { siteFiles } from '#common/pages/files.ts'
import { pageHeaders } from '#common/pages/headers.ts'
import { secrets, secretsLoaded } from '#common/secrets/key-vault.ts'
import { requests } from '#common/telemetry/requests.ts'
import type { Config } from './config.ts'
import { ForeignForm, GatewayError, PageNotFound } from './errors.ts'
import { Gateway } from './gateway.ts'
import { BASE, site } from './pages/layout.ts'
import { ownProblemPage, problemPage } from './pages/problem.ts'
import { signInPage } from './pages/sign-in.ts'
import { findingRoutes } from './routes/findings.ts'
import { integrityRoutes } from './routes/integrity.ts'
import { patientRoutes } from './routes/patients.ts'
import { recordRoutes } from './routes/records.ts'
import { sendPage, type Parts } from './routes/parts.ts'
import { signInRoutes } from './routes/sign-in.ts'
import { Sessions } from './session.ts'

const FORM = 'application/x-www-form-urlencoded'
const MAX_FORM_BYTES = 16_384

/** The auditor's page: a client of the gateway that asks for a key and keeps nothing. */
export async function buildApp (config: Config, { logStream }: { logStream?: DestinationStream } = {}) {
  const app: FastifyInstance = Fastify({
    ...serverOptions('auditor', config.LOG_LEVEL, logStream),
    bodyLimit: MAX_FORM_BYTES,
    frameworkErrors: (_error, request, reply) => {
      answerError(new PageNotFound(), request as FastifyRequest, reply as FastifyReply)
    }
  })
  await app.register(secrets, { settings: config.secrets })
  const sessions = new Sessions(app.secrets, config.SECURE_COOKIES === 'true')
  const gateway = new Gateway(new URL(config.GATEWAY_URL).origin)
  app.addHook('onClose', () => gateway.close())

  app.register(closing)
  await app.register(pageHeaders, { https: config.SECURE_COOKIES === 'true' })
  app.register(requests, { traceId: ({ id }) => id })
  logRequests(app)
  app.register(health, { ready: () => app.secrets.loaded })
  app.decorateRequest('session')
  app.setErrorHandler((error: FastifyError, request, reply) => {
    // The key is not accepted any more
    if (error instanceof GatewayError && error.statusCode === 401) sessions.end(reply)
    return answerError(error, request, reply)
  })
  app.setNotFoundHandler(() => { throw new PageNotFound() })
  acceptForms(app)
  app.register(siteFiles, { site })

  const parts: Parts = { gateway, sessions, monitorUrl: config.MONITOR_URL, witnessKeys: config.witnessKeys }
  app.register(signInRoutes, { ...parts, prefix: BASE })
  app.register(async (guarded) => {
    guarded.addHook('onRequest', secretsLoaded)
    guarded.addHook('onRequest', requireSession(sessions))
    guarded.register(patientRoutes, parts)
    guarded.register(recordRoutes, parts)
    guarded.register(findingRoutes, parts)
    guarded.register(integrityRoutes, parts)
  }, { prefix: BASE })
  return app
}

/** Forms of these pages only: another site must not act with the session of a browser. */
function acceptForms (app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(FORM, { parseAs: 'string' }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body as string)))
  })
  app.addHook('onRequest', async ({ method, headers }) => {
    if (method !== 'GET' && headers['sec-fetch-site'] !== 'same-origin') throw new ForeignForm()
  })
}

/** Sends whoever has no session to the form to sign in. */
function requireSession (sessions: Sessions) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    request.session = await sessions.find(request)
    if (request.session) return sessions.renew(reply, request.session)
    const next = request.method === 'GET' ? request.url : BASE
    return reply.redirect(`${BASE}/sign-in?${new URLSearchParams({ next })}`, 303)
  }
}

function answerError (error: FastifyError | GatewayError, request: FastifyRequest, reply: FastifyReply) {
  const { session } = request
  const { statusCode = 500 } = error
  if (error instanceof GatewayError) {
    const { code, retryAfter, cause } = error
    const level = statusCode >= 500 ? 'warn' : 'info'
    request.log[level]({ statusCode, code, err: cause }, 'a request to the gateway failed')
    if (statusCode === 401) return sendPage(reply.code(401), signInPage(request.url, session, 'key'))
    if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
    return sendPage(reply.code(statusCode >= 500 ? 503 : statusCode), problemPage(session, error))
  }
  if (statusCode >= 500) request.log.error({ err: error }, 'defect')
  // Messages of Fastify could quote the request
  const message = error.code?.startsWith('FST_') ? 'The request cannot be read' : error.message
  return sendPage(reply.code(statusCode), ownProblemPage(session, statusCode, message, request.id))
}
