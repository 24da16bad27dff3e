import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { CommandError } from '../errors.ts'
import type { Rights, Role } from './roles.ts'
import { rightsOf } from './roles.ts'
import type { Credential } from './scram.ts'
import { credentialOf, iterations, saltLength } from './scram.ts'
import type { Database } from '../storage/database.ts'
import type { Storage } from '../storage/storage.ts'

/** A user of a database. A change of it makes another object of the same id. */
export interface User {
  /** A user of the same name that is made later has another. */
  id: string
  db: string
  name: string
  roles: Role[]
  rights: Rights
  credential: Credential
}

/** The user that a connection is logged in as, as of a generation of the users. */
export interface Login {
  user: User | undefined
  generation: number
}

// no command reaches it: a client's database has no `$` in its name
const databaseName = '$users'
const tables = `
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, db TEXT NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL,
    salt BLOB NOT NULL, iterations INTEGER NOT NULL, storedKey BLOB NOT NULL, serverKey BLOB NOT NULL,
    UNIQUE (db, name)
  );
  CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL);
`

const columns = 'id, db, name, roles, salt, iterations, storedKey, serverKey'
type UserRow = [
  id: string, db: string, name: string, roles: string,
  salt: Uint8Array, iterations: number, storedKey: Uint8Array, serverKey: Uint8Array
]

/**
 * The users of all databases, in a file of their own beside the data. A change is on disk when its method
 * returns.
 */
export class Users {
  /** Whether a client must be logged in, and may do only what its user may. */
  readonly auth: boolean
  /** Changes whenever users do. */
  generation = 0
  #storage: Storage
  #byName = new Map<string, User>()
  #opened: { database: Database, secret: Uint8Array } | undefined

  constructor (storage: Storage, auth: boolean) {
    this.#storage = storage
    this.auth = auth
    if (auth || storage.database(databaseName) !== undefined) this.#open()
  }

  #open (): { database: Database, secret: Uint8Array } {
    if (this.#opened !== undefined) return this.#opened
    const database = this.#storage.create(databaseName)
    database.sqlite.exec(tables)
    database.statement('INSERT OR IGNORE INTO secret VALUES (1, ?)').run(randomBytes(32))
    const [secret] = database.statement('SELECT value FROM secret').get() as unknown as [Uint8Array]
    const rows = database.statement(`SELECT ${columns} FROM users ORDER BY db, name`).all()
    for (const row of rows as unknown as UserRow[]) {
      const [id, db, name, roles, salt, iterations, storedKey, serverKey] = row
      const credential = { salt, iterations, storedKey, serverKey }
      this.#keep({ id, db, name, roles: JSON.parse(roles), credential })
    }
    this.#opened = { database, secret }
    return this.#opened
  }

  #keep (user: Omit<User, 'rights'>): void {
    this.#byName.set(`${user.db}.${user.name}`, { ...user, rights: rightsOf(user.roles) })
    this.generation++
  }

  get size (): number {
    return this.#byName.size
  }

  find (db: string, name: string): User | undefined {
    return this.#byName.get(`${db}.${name}`)
  }

  list (): User[] {
    return [...this.#byName.values()]
  }

  /**
   * The user that a client is logged in as, as it is now; undefined if it has none or it has been dropped.
   */
  current (client: Login): User | undefined {
    if (client.generation !== this.generation) {
      const known = client.user && this.find(client.user.db, client.user.name)
      client.user = known?.id === client.user?.id ? known : undefined
      client.generation = this.generation
    }
    return client.user
  }

  /**
   * What a login is checked by. For a user that does not exist it is made of a secret and the name, always
   * the same and fitting no password, so that a reply does not show which users there are.
   */
  credential (db: string, name: string): Credential {
    const known = this.find(db, name)
    if (known !== undefined) return known.credential
    const made = createHmac('sha512', this.#open().secret).update(`${db}.${name}`).digest()
    const key = made.subarray(32)
    return { salt: made.subarray(0, saltLength), iterations, storedKey: key, serverKey: key }
  }

  /** Throws 51003 if there is one of that name. */
  create (db: string, name: string, password: string, roles: Role[]): void {
    if (this.find(db, name) !== undefined) {
      throw new CommandError(51003, `User "${name}@${db}" already exists`)
    }
    this.#store({ id: randomUUID(), db, name, roles, credential: credentialOf(password) })
  }

  /** Changes the password, the roles or both. Throws UserNotFound. */
  update (db: string, name: string, password: string | undefined, roles: Role[] | undefined): void {
    const known = this.#existing(db, name)
    const credential = password === undefined ? known.credential : credentialOf(password)
    this.#store({ ...known, roles: roles ?? known.roles, credential })
  }

  #store (user: Omit<User, 'rights'>): void {
    const { id, db, name, roles, credential: { salt, iterations, storedKey, serverKey } } = user
    this.#open().database
      .statement(`INSERT OR REPLACE INTO users (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(id, db, name, JSON.stringify(roles), salt, iterations, storedKey, serverKey)
    this.#keep(user)
  }

  /** Throws UserNotFound. */
  drop (db: string, name: string): void {
    this.#open().database.statement('DELETE FROM users WHERE id = ?').run(this.#existing(db, name).id)
    this.#byName.delete(`${db}.${name}`)
    this.generation++
  }

  #existing (db: string, name: string): User {
    const user = this.find(db, name)
    if (user === undefined) throw new CommandError('UserNotFound', `User '${name}@${db}' not found`)
    return user
  }
}
