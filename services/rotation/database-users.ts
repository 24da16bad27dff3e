import { MongoClient, MongoError, type Db } from 'mongodb'
import { RotationError, random, type Renewal } from './renewal.ts'

const AUTHENTICATION_FAILED = 18
const CONNECT_MS = 5_000
const CREDENTIALS = /^(mongodb(?:\+srv)?:\/\/)[^@]*@/

/**
 * Two users of a MongoDB database, `<name>-a` and `<name>-b`, in whose name its service logs in by turns: while one
 * works, the other gets a new password. `admin` is a client that may change users.
 */
export class DatabaseUsers implements Renewal {
  #admin: MongoClient

  constructor (admin: MongoClient) {
    this.#admin = admin
  }

  async renew (connection: string) {
    const { user, db } = this.#login(connection)
    // An admin that may not know users must not leave a version that never works
    await this.#rolesFor(db, otherOf(user))
    return withCredentials(connection, otherOf(user), random())
  }

  // The password is in the vault first, so that one which is set is always known
  async apply (connection: string, alone: boolean) {
    const { user, password, db } = this.#login(connection)
    if (alone) await this.#makeAnew(db, user, password)
    else if (!await logsIn(connection)) await this.#setPassword(db, user, password)
    return connection
  }

  async endOthers (connection: string) {
    const { user, db } = this.#login(connection)
    await this.#makeAnew(db, otherOf(user), random())
  }

  async #setPassword (db: Db, user: string, password: string) {
    if (await this.#rolesOf(db, user)) await this.#change(db, { updateUser: user, pwd: password })
    else await this.#makeAnew(db, user, password)
  }

  /** A changed password would leave whoever is logged in with the old one. */
  async #makeAnew (db: Db, user: string, password: string) {
    const roles = await this.#rolesFor(db, user)
    if (await this.#rolesOf(db, user)) await this.#change(db, { dropUser: user })
    await this.#change(db, { createUser: user, pwd: password, roles })
  }

  /** A user that an interruption left unmade gets the roles of the other. */
  async #rolesFor (db: Db, user: string) {
    const roles = await this.#rolesOf(db, user) ?? await this.#rolesOf(db, otherOf(user))
    if (!roles) throw new RotationError('its users are not there')
    return roles
  }

  async #rolesOf (db: Db, user: string): Promise<object[] | undefined> {
    const { users } = await this.#change(db, { usersInfo: user })
    return users[0]?.roles
  }

  #login (connection: string) {
    const { credentials } = new MongoClient(connection).options
    const { username: user, password, source } = credentials ?? {}
    if (!user || !password || !source || !/-[ab]$/.test(user)) throw new RotationError('this connection string was set by hand, so it is to be changed by hand')
    return { user, password, db: this.#admin.db(source) }
  }

  async #change (db: Db, command: object) {
    try {
      return await db.command(command)
    } catch (error) {
      if (!(error instanceof MongoError)) throw error
      // The driver's own message could quote the command
      throw new RotationError(`the database refuses the change (${error.code ?? error.name})`)
    }
  }
}

/** `connection` with another user and password. */
export function withCredentials (connection: string, user: string, password: string) {
  return connection.replace(CREDENTIALS, (_all, scheme: string) => `${scheme}${encodeURIComponent(user)}:${encodeURIComponent(password)}@`)
}

const otherOf = (user: string) => user.replace(/[ab]$/, (turn) => turn === 'a' ? 'b' : 'a')

/** A password that works is not set again: whoever is just logging in by it would be refused. */
async function logsIn (connection: string) {
  const client = new MongoClient(connection, { serverSelectionTimeoutMS: CONNECT_MS, connectTimeoutMS: CONNECT_MS })
  try {
    await client.connect()
    return true
  } catch (error) {
    if ((error as MongoError).code === AUTHENTICATION_FAILED) return false
    throw new RotationError(`the database does not answer (${(error as MongoError).code ?? (error as Error).name})`)
  } finally {
    await client.close()
  }
}
