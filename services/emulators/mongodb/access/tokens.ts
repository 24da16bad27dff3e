import { Binary, deserialize } from 'bson'
import type { Value } from '../bson/values.ts'
import type { Role, User } from './users.ts'
import { authenticationFailed } from './scram.ts'

export const tokenMechanism = 'MONGODB-OIDC'
/** The database of the users whom an identity provider knows. */
export const external = '$external'

/** Who may log in with a token. */
export interface TokenLogin {
  /** The name in a token and its expiry, in ms since the epoch; undefined for a token of others. */
  verify: (token: string) => { name: string, expires: number } | undefined
  /** By the names in tokens. */
  roles: Record<string, Role[]>
  /** ms since the epoch. */
  now?: () => number
}

/** The users that log in with tokens: configured, as in Azure DocumentDB, and stored nowhere. */
export function usersWithTokens ({ roles }: TokenLogin): User[] {
  return Object.entries(roles).map(([name, own]) => (
    { id: `token:${name}`, db: external, name, roles: own, credential: undefined }
  ))
}

/**
 * Checks the token in the payload of a login: `{ jwt }`, in BSON. Every other payload, and every token that
 * is not valid, throws the same AuthenticationFailed.
 */
export function readToken ({ verify, now = Date.now }: TokenLogin, payload: Value) {
  if (!(payload instanceof Binary)) throw authenticationFailed()
  const login = verify(tokenIn(payload))
  if (login === undefined || login.expires <= now()) throw authenticationFailed()
  return login
}

function tokenIn (payload: Binary): string {
  try {
    const { jwt } = deserialize(payload.value())
    if (typeof jwt === 'string') return jwt
  } catch {
    // Not BSON
  }
  throw authenticationFailed()
}
