import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { secretsLoaded } from '#common/secrets/key-vault.ts'
import { GatewayError } from '../errors.ts'
import { BASE } from '../pages/layout.ts'
import { signInPage } from '../pages/sign-in.ts'
import { parameter } from '../filters.ts'
import { sessionOf, SessionTooLarge, type Credentials, type Session } from '../session.ts'
import { sendPage, type Form, type Parts, type Query } from './parts.ts'

/** The form to sign in, and what it and the button to sign out send. */
export const signInRoutes: FastifyPluginAsync<Parts> = async (app, { gateway, sessions }) => {
  app.addHook('onRequest', secretsLoaded)

  app.get<Query>('/sign-in', async ({ query }, reply) => {
    const next = parameter(query, 'next')
    return sendPage(reply, signInPage(ownPath(next), {}, next === '' || next === BASE ? undefined : 'ended'))
  })

  app.post<Form>('/sign-in', async (request, reply) => {
    const { next, ...typed } = credentialsIn(request.body ?? {})
    const session = sessionOf(typed)
    if (typeof session === 'string') return sendPage(reply.code(400), signInPage(next, typed, session))
    if (!await isAccepted(request, session)) return sendPage(reply.code(401), signInPage(next, typed, 'key'))
    return begin(reply, session, next, typed)
  })

  app.post('/sign-out', async (_request, reply) => {
    sessions.end(reply)
    return reply.redirect(`${BASE}/sign-in`, 303)
  })

  /** Whether the credentials open the log, which is recorded nowhere because it names nobody. */
  async function isAccepted (request: FastifyRequest, session: Session) {
    try {
      await gateway.text(request, session, '/log/checkpoint', { accept: 'text/plain' })
      return true
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      if (error.statusCode === 401) return false
      // The log has no checkpoint yet
      if (error.statusCode === 404) return true
      throw error
    }
  }

  function begin (reply: FastifyReply, session: Session, next: string, typed: Credentials) {
    try {
      sessions.begin(reply, session)
    } catch (error) {
      if (!(error instanceof SessionTooLarge)) throw error
      return sendPage(reply.code(400), signInPage(next, typed, 'token'))
    }
    return reply.redirect(next, 303)
  }
}

function credentialsIn (form: Record<string, string>) {
  const { key = '', token = '', onBehalfOf = '', purpose = '', next = '' } = form
  return { key, token, onBehalfOf, purpose, next: ownPath(next) }
}

/** A path of this site; any other would send people who have just signed in elsewhere. */
function ownPath (path: string) {
  const isOwn = /^\/auditor(?:[/?][\x21-\x5b\x5d-\x7e]*)?$/.test(path)
  return isOwn && !path.startsWith(`${BASE}/sign-`) ? path : BASE
}
