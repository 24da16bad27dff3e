import { MongoClient, MongoError, type Db } from 'mongodb'
import { loginIn, withCredentials } from './connection-string.ts'
import { RotationError, randomSecret, type RotationStrategy } from './strategy.ts'

const AUTHENTICATION_FAILED = 18
const CONNECT_MS = 5_000

/**
 * The users `<name>-a` and `<name>-b` of a MongoDB database: its service alternates between them, and a
 * rotation changes the password of the unused one. `admin` is a client that may change users.
 */
export class DatabaseUsers implements RotationStrategy {
  #admin: MongoClient

  constructor (admin: MongoClient) {
    this.#admin = admin
  }

  async close () {
    await this.#admin.close()
  }

  async createValue (connection: string) {
    const { user, db } = this.#login(connection)
    // Fails before a version is added that could never work, if the administrator may not read users
    await this.#rolesFor(db, otherOf(user))
    return withCredentials(connection, otherOf(user), randomSecret())
  }

  // The vault has the password before the database does, so that it is never lost
  async activate (connection: string, revoke: boolean) {
    const { user, password, db } = this.#login(connection)
    if (revoke) await this.#recreate(db, user, password)
    else if (!await logsIn(connection)) await this.#setPassword(db, user, password)
    return connection
  }

  async revokeOthers (connection: string) {
    const { user, db } = this.#login(connection)
    await this.#recreate(db, otherOf(user), randomSecret())
  }

  async #setPassword (db: Db, user: string, password: string) {
    if (await this.#rolesOf(db, user)) await this.#run(db, { updateUser: user, pwd: password })
    else await this.#recreate(db, user, password)
  }

  /** Ends the user's sessions too, which a changed password would not. */
  async #recreate (db: Db, user: string, password: string) {
    const roles = await this.#rolesFor(db, user)
    if (await this.#rolesOf(db, user)) await this.#run(db, { dropUser: user })
    await this.#run(db, { createUser: user, pwd: password, roles })
  }

  /** The roles of a user; those of the other one, if an interruption left this one dropped. */
  async #rolesFor (db: Db, user: string) {
    const roles = await this.#rolesOf(db, user) ?? await this.#rolesOf(db, otherOf(user))
    if (!roles) throw new RotationError('the database has neither of its users')
    return roles
  }

  async #rolesOf (db: Db, user: string): Promise<object[] | undefined> {
    const { users } = await this.#run(db, { usersInfo: user })
    return users[0]?.roles
  }

  #login (connection: string) {
    const { username: user, password, source } = loginIn(connection)
    if (!password || !/-[ab]$/.test(user)) {
      throw new RotationError('this connection string was set by hand; change it by hand')
    }
    return { user, password, db: this.#admin.db(source) }
  }

  async #run (db: Db, command: object) {
    try {
      return await db.command(command)
    } catch (error) {
      if (!(error instanceof MongoError)) throw error
      // The driver's message could quote the command
      throw new RotationError(`the database refuses the change (${error.code ?? error.name})`)
    }
  }
}

/** @throws {RotationError} if the database does not accept the login; `name` is the secret that holds it */
export async function connectAsAdmin (name: string, connection: string) {
  const client = clientOf(connection)
  try {
    return new DatabaseUsers(await client.connect())
  } catch (error) {
    await client.close()
    // The driver's message could quote the connection string
    throw new RotationError(`${name}: the database refuses the login (${codeOf(error)})`)
  }
}

/** A password that works is not set again, since a login at the same time would fail. */
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

const otherOf = (user: string) => user.replace(/[ab]$/, (letter) => letter === 'a' ? 'b' : 'a')

function clientOf (connection: string) {
  return new MongoClient(connection, { serverSelectionTimeoutMS: CONNECT_MS, connectTimeoutMS: CONNECT_MS })
}

function codeOf (error: unknown) {
  const { code, name } = error as MongoError
  return code ?? name
}
