import { ConnectionString } from 'mongodb-connection-string-url'

/** Whether `connection` names MONGODB-OIDC: the client logs in with tokens, and there is no password. */
export function usesTokens (connection: string) {
  try {
    // The driver accepts parts of the name
    return /oidc/i.test(new ConnectionString(connection).searchParams.get('authMechanism') ?? '')
  } catch {
    return false
  }
}
