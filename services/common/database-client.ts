import { MongoClient, MongoOIDCError, type MongoClientOptions, type OIDCCallbackParams } from 'mongodb'
import { usesTokens } from './database-mechanism.ts'
import { azureCredential, DATABASE_RESOURCE } from './secrets/azure-credential.ts'

const LOCAL_HOSTS = ['localhost', '127.0.0.1', '::1']
/** The only hosts that receive tokens: clusters of Azure DocumentDB, and this machine. */
const ALLOWED_HOSTS = ['*.mongocluster.cosmos.azure.com', ...LOCAL_HOSTS]

/** Less than the 5 minutes in which the SDK does not use a cached token any more. */
const RENEWAL_MS = 4 * 60 * 1_000

/**
 * A client for `connection`. With `authMechanism=MONGODB-OIDC`, it logs in with Entra ID tokens: those of the
 * managed identity whose client id is the user name, or of the developer if there is none.
 *
 * @throws {Error} the driver does not accept the connection string, or tokens would be sent without TLS
 */
export function createClient (connection: string, options: MongoClientOptions = {}) {
  if (!usesTokens(connection)) return new MongoClient(connection, options)
  const authMechanismProperties = { OIDC_CALLBACK: provideToken, ALLOWED_HOSTS }
  const client = new MongoClient(connection, { ...options, authMechanismProperties })
  const { tls, hosts } = client.options
  if (!tls && !hosts.every(({ host }) => host && LOCAL_HOSTS.includes(host))) {
    throw new Error('a database that is logged in to with tokens needs tls=true')
  }
  return client
}

/**
 * Fetches the token with which `client` logs in, if it uses tokens. The first token of a managed identity can
 * take seconds, and a connection must be established within half a second; the SDK caches the token.
 *
 * @returns when the login should be renewed, in ms since the epoch: before the token expires
 * @throws {MongoOIDCError}
 */
export async function fetchTokenAhead ({ options: { credentials } }: MongoClient): Promise<number> {
  if (credentials?.mechanism !== 'MONGODB-OIDC') return Infinity
  const { expiresOnTimestamp } = await fetchToken(credentials)
  const now = Date.now()
  return Math.max(expiresOnTimestamp - RENEWAL_MS, (now + expiresOnTimestamp) / 2, now + 1_000)
}

// The driver's own ENVIRONMENT:azure requires the endpoint of virtual machines, which Container Apps lacks
async function provideToken ({ username, timeoutContext }: OIDCCallbackParams) {
  return { accessToken: (await fetchToken({ username }, timeoutContext)).token }
}

async function fetchToken ({ username }: { username?: string }, abortSignal?: AbortSignal) {
  try {
    const credential = await azureCredential(username || undefined)
    return (await credential.getToken(`${DATABASE_RESOURCE}/.default`, { abortSignal }))!
  } catch (cause) {
    throw Object.assign(new MongoOIDCError('cannot get a token for the database'), { cause })
  }
}
