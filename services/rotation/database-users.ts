import { MongoClient, MongoError, type Db } from 'mongodb'
import { loginIn, withCredentials } from './connection-string.ts'
import { RotationError, randomSecret, type RotationStrategy } from './strategy.ts'

const AUTHENTICATION_FAILED = 18
const CONNECT_MS = 5_000

/**
 * The users `<name>-a` and `<name>-b` of a MongoDB database: its service alternates between them, and a
 * rotation changes the password of the unused one. `admin` is a client that may change users.
 */
export function databaseUsers (admin: MongoClient): RotationStrategy {
  return {
    async createValue (connection) {
      const { db, other } = usersIn(connection, admin)
      // Fails before a version is added that could never work, if the administrator may not read users
      await rolesFor(db, other)
      return withCredentials(connection, other, randomSecret())
    },

    // The vault has the password before the database does, so that it is never lost
    async activate (connection, revoke) {
      const { db, user, password } = usersIn(connection, admin)
      // A password that works is not set again, since a login at the same time would fail
      if (!revoke && await logsIn(connection)) return connection
      const canChange = !revoke && await rolesOf(db, user)
      if (canChange) await run(db, { updateUser: user, pwd: password })
      else await recreate(db, user, password)
      return connection
    },

    async revokeOthers (connection) {
      const { db, other } = usersIn(connection, admin)
      await recreate(db, other, randomSecret())
    }
  }
}

/** The database that knows the users, the one in `connection` with its password, and the other one. */
function usersIn (connection: string, admin: MongoClient) {
  const { username: user, password, source } = loginIn(connection)
  if (!password || !/-[ab]$/.test(user)) {
    throw new RotationError('this connection string was set by hand; change it by hand')
  }
  return { db: admin.db(source), user, password, other: otherOf(user) }
}

const otherOf = (user: string) => user.replace(/[ab]$/, (letter) => letter === 'a' ? 'b' : 'a')

/** Ends the user's sessions too, which a changed password would not. */
async function recreate (db: Db, user: string, password: string) {
  const roles = await rolesFor(db, user)
  if (await rolesOf(db, user)) await run(db, { dropUser: user })
  await run(db, { createUser: user, pwd: password, roles })
}

/** The roles of a user; those of the other one, if an interruption left this one dropped. */
async function rolesFor (db: Db, user: string) {
  const roles = await rolesOf(db, user) ?? await rolesOf(db, otherOf(user))
  if (!roles) throw new RotationError('the database has neither of its users')
  return roles
}

async function rolesOf (db: Db, user: string): Promise<object[] | undefined> {
  const { users } = await run(db, { usersInfo: user })
  return users[0]?.roles
}

// Messages of the driver could quote a command or a connection string, so only their codes are passed on

async function run (db: Db, command: object) {
  try {
    return await db.command(command)
  } catch (error) {
    if (!(error instanceof MongoError)) throw error
    throw new RotationError(`the database refuses the change (${codeOf(error)})`)
  }
}

/** @throws {RotationError} if the database does not accept the login; `name` is the secret that holds it */
export async function connectAsAdmin (name: string, connection: string) {
  const client = clientOf(connection)
  try {
    const admin = await client.connect()
    return { ...databaseUsers(admin), close: () => admin.close() }
  } catch (error) {
    await client.close()
    throw new RotationError(`${name}: the database refuses the login (${codeOf(error)})`)
  }
}

async function logsIn (connection: string) {
  const client = clientOf(connection)
  try {
    await client.connect()
    return true
  } catch (error) {
    if ((error as MongoError).code === AUTHENTICATION_FAILED) return false
    throw new RotationError(`the database does not answer (${codeOf(error)})`)
  } finally {
    await client.close()
  }
}

function clientOf (connection: string) {
  return new MongoClient(connection, { serverSelectionTimeoutMS: CONNECT_MS, connectTimeoutMS: CONNECT_MS })
}

function codeOf (error: unknown) {
  const { code, name } = error as MongoError
  return code ?? name
}
