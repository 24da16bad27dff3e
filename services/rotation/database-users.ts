import { MongoClient, MongoError, type Db } from 'mongodb'
import { RotationError, random, type Renewal } from './renewal.ts'

const USER_NOT_FOUND = 11
const CREDENTIALS = /^(mongodb(?:\+srv)?:\/\/)[^@/]*@/

/**
 * Two users of a MongoDB database, `<name>-a` and `<name>-b`, in whose name its service logs in by turns: while one
 * works, the other gets a new password. `admin` is a client that may change users.
 */
export class DatabaseUsers implements Renewal {
  #secret: string
  #admin: MongoClient

  constructor (secret: string, admin: MongoClient) {
    this.#secret = secret
    this.#admin = admin
  }

  async renew (connection: string) {
    const { user } = this.#login(connection)
    const other = user.replace(/[ab]$/, (turn) => turn === 'a' ? 'b' : 'a')
    return withCredentials(connection, other, random())
  }

  // The password is in the vault first, so that one which is set is always known
  async apply (connection: string) {
    const { user, password, db } = this.#login(connection)
    await this.#change(db, { updateUser: user, pwd: password })
    return connection
  }

  /** Makes the user anew: a changed password would leave whoever is logged in with the old one. */
  async revoke (connection: string) {
    const { user, db } = this.#login(connection)
    const { users: [known] } = await this.#change(db, { usersInfo: user })
    const { roles } = known ?? {}
    if (!roles) return
    await this.#change(db, { dropUser: user })
    await this.#change(db, { createUser: user, pwd: random(), roles })
  }

  #login (connection: string) {
    const { credentials } = new MongoClient(connection).options
    const { username: user, password, source } = credentials ?? {}
    if (!user || !password || !source || !/-[ab]$/.test(user)) throw new RotationError(`${this.#secret}: this connection string was set by hand, so it is to be changed by hand`)
    return { user, password, db: this.#admin.db(source) }
  }

  async #change (db: Db, command: object) {
    try {
      return await db.command(command)
    } catch (error) {
      if (!(error instanceof MongoError)) throw error
      // The driver's own message could quote the command
      throw new RotationError(`${this.#secret}: ${error.code === USER_NOT_FOUND ? 'its user is not there' : `the database refuses the change (${error.code ?? error.name})`}`)
    }
  }
}

/** `connection` with another user and password. */
export function withCredentials (connection: string, user: string, password: string) {
  return connection.replace(CREDENTIALS, (_all, scheme: string) => `${scheme}${encodeURIComponent(user)}:${encodeURIComponent(password)}@`)
}
