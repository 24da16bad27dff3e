import { ConnectionString } from 'mongodb-connection-string-url'

// Azure does not escape the slashes in the keys of Cosmos DB, and parsers refuse them
const PASSWORD = /^(mongodb(?:\+srv)?:\/\/[^:/@]*:)([^@?]*)(?=@)/

/** The user and the password in a connection string, decoded, and the database that knows the user. */
export function loginIn (connection: string) {
  const { username, password, pathname, searchParams } = parse(connection)
  const source = searchParams.get('authSource') ?? (decodeURIComponent(pathname.slice(1)) || 'admin')
  return { username: decodeURIComponent(username), password: decodeURIComponent(password), source }
}

/** `connection` with another user and password. */
export function withCredentials (connection: string, username: string, password: string) {
  const changed = parse(connection)
  changed.username = encodeURIComponent(username)
  changed.password = encodeURIComponent(password)
  return changed.href
}

function parse (connection: string) {
  return new ConnectionString(connection.replace(PASSWORD, (_all, before: string, password: string) =>
    before + encodeURIComponent(decodeURIComponent(password))))
}
