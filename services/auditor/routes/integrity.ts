import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { parseVerifierKey } from '#common/transparency/notes.ts'
import { GatewayError } from '../errors.ts'
import type { Finding } from '../findings.ts'
import type { Gateway } from '../gateway.ts'
import { checkpointOf, keysOf } from '../log.ts'
import { homePage } from '../pages/home.ts'
import { integrityPage, type LogState } from '../pages/integrity.ts'
import { filterOf, parameter, toQuery } from '../filters.ts'
import type { Session } from '../session.ts'
import { orProblem, sendFile, sendPage, sessionIn, type Parts, type Query } from './parts.ts'

const TEXT = { accept: 'text/plain' }
const NEWEST = '5'

/** The keys of the log, for people and for checks. */
export async function logKeys (gateway: Gateway, request: FastifyRequest, session: Session) {
  const keys = keysOf(await gateway.text(request, session, '/log/keys', TEXT))
  const trusted = keys.filter(({ succession }) => succession !== 'unsigned')
  return { keys, verifiers: trusted.map(({ vkey }) => parseVerifierKey(vkey)) }
}

/** The overview, the state of the log, and evidence. */
export const integrityRoutes: FastifyPluginAsync<Parts> = async (app, { gateway, witnessKeys }) => {
  app.get('/', async (request, reply) => {
    const session = sessionIn(request)
    const newest = { query: { state: 'new', limit: NEWEST } }
    const asked = gateway.json<Finding[]>(request, session, '/audit/findings', newest)
    const [findings, log] = await Promise.all([
      orProblem(asked, 'The findings are not available now.'),
      orProblem(logState(request), 'The state of the log is not available now.')
    ])
    return sendPage(reply, homePage(session, { findings, log }))
  })

  app.get<Query>('/integrity', async (request, reply) => {
    const state = await orProblem(logState(request), 'The state of the log is not available now.')
    return sendPage(reply, integrityPage(sessionIn(request), state, filterOf(request.query)))
  })

  app.get('/checkpoint', async (request, reply) => {
    const answer = await gateway.ask(request, sessionIn(request), '/log/checkpoint', TEXT)
    return sendFile(reply, answer, 'checkpoint.txt')
  })

  app.get('/keys', async (request, reply) => {
    return sendFile(reply, await gateway.ask(request, sessionIn(request), '/log/keys', TEXT), 'keys.txt')
  })

  app.get<Query>('/evidence', async (request, reply) => {
    const id = parameter(request.query, 'id')
    const isOne = id !== '' && parameter(request.query, 'from') === ''
    const query = isOne ? { id } : toQuery(filterOf(request.query))
    const question = { query, accept: 'application/zip' }
    const answer = await gateway.ask(request, sessionIn(request), '/audit/evidence', question)
    return sendFile(reply, answer, 'evidence.zip')
  })

  async function logState (request: FastifyRequest): Promise<LogState> {
    const session = sessionIn(request)
    const [{ keys, verifiers }, checkpoint, witnessed] = await Promise.all([
      logKeys(gateway, request, session),
      newestCheckpoint(request, session),
      newestCheckpoint(request, session, { witnessed: 'true' })
    ])
    const known = [...verifiers, ...witnessKeys]
    return {
      keys,
      ...(checkpoint !== undefined && { checkpoint: checkpointOf(checkpoint, known) }),
      ...(witnessed !== undefined && { witnessed: checkpointOf(witnessed, known) })
    }
  }

  async function newestCheckpoint (request: FastifyRequest, session: Session, query?: { witnessed: 'true' }) {
    try {
      return await gateway.text(request, session, '/log/checkpoint', { ...TEXT, ...(query && { query }) })
    } catch (error) {
      if (error instanceof GatewayError && error.statusCode === 404) return undefined
      throw error
    }
  }
}
