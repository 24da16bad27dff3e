import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Fastify, { type FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import { DATABASE_RESOURCE } from '../../common/secrets/azure-credential.ts'
import { dataDirectory } from '../../emulators/mongodb/test/helper.ts'
import { startDatabase } from '../../emulators/mongodb/server.ts'
import { managedIdentity } from '../../emulators/vault/managed-identity.ts'
import { Tokens } from '../../emulators/vault/tokens.ts'

const ACCESS = readFileSync(new URL('../../access.json', import.meta.url), 'utf8')
const clientId: string = JSON.parse(ACCESS).patient.clientId

/**
 * A database that the patient service logs in to with tokens, and their endpoint in Container Apps. `time`
 * is that of both, in ms ahead of the process. The SDK keeps the endpoint, so a process has one.
 */
export async function tokenDatabase (t: Test, lifeSeconds: number) {
  const time = { ahead: 0 }
  const now = () => Date.now() + time.ahead
  const tokens = new Tokens(randomBytes(32), now, lifeSeconds)
  const endpoint = await startEndpoint(t, tokens)
  const verify = (token: string) => {
    const claims = tokens.claimsOf(token)
    return claims?.aud === DATABASE_RESOURCE ? { name: claims.appid, expires: claims.exp * 1_000 } : undefined
  }
  const database = await startDatabase({
    dataDir: dataDirectory(t),
    auth: true,
    tokens: { verify, now, roles: { [clientId]: [{ role: 'readWrite', db: 'patient' }] } },
    logger: pino({ level: 'silent' })
  })
  t.teardown(() => database.close())
  const connection = `mongodb://${clientId}@127.0.0.1:${database.port}/?authMechanism=MONGODB-OIDC`
  return { time, endpoint, tokens, clientId, connection }
}

/** The emulated endpoint, which can be unavailable. */
async function startEndpoint (t: Test, tokens: Tokens) {
  const app = Fastify() as FastifyInstance
  const header = randomBytes(32).toString('base64url')
  const headerDigests = new Map([['patient', createHash('sha256').update(header).digest()]])
  const endpoint = { isUnavailable: false, requests: 0, onRequest: () => {} }
  app.decorateRequest('access')
  app.addHook('onRequest', async (_request, reply) => {
    const problem = { statusCode: 400, message: 'No managed identity' }
    if (endpoint.isUnavailable) return reply.code(400).send(problem)
  })
  app.addHook('onResponse', async () => {
    endpoint.requests++
    endpoint.onRequest()
  })
  await app.register(managedIdentity, { headerDigests, resources: [DATABASE_RESOURCE], tokens })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  process.env.IDENTITY_ENDPOINT = `${url}/msi/token`
  process.env.IDENTITY_HEADER = header
  return endpoint
}
