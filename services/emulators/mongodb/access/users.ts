import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import type { Value } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'
import type { Rights, Role } from './roles.ts'
import { rightsOf } from './roles.ts'
import type { Credential } from './scram.ts'
import { credentialOf, iterations, saltLength } from './scram.ts'
import type { Database, Storage } from '../storage/storage.ts'

/** A user of a database. What changes of it makes another object of the same id. */
export interface User {
  /** Made with the user: one of the same name that is made later is another. */
  id: string
  db: string
  name: string
  roles: Role[]
  rights: Rights
  credential: Credential
}

/** Who a connection is logged in as, as of a generation of the users. */
export interface Login {
  user: User | undefined
  generation: number
}

// no command reaches it: a client's database has no `$` in its name
const place = '$users'
const tables = `
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, db TEXT NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL,
    salt BLOB NOT NULL, iterations INTEGER NOT NULL, storedKey BLOB NOT NULL, serverKey BLOB NOT NULL, UNIQUE (db, name)
  );
  CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL);
`

/** The users of all databases, in a file of their own beside the data. A change is on disk when its method returns. */
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
    if (auth || storage.database(place) !== undefined) this.#open()
  }

  #open (): { database: Database, secret: Uint8Array } {
    if (this.#opened !== undefined) return this.#opened
    const database = this.#storage.create(place)
    database.sqlite.exec(tables)
    database.statement('INSERT OR IGNORE INTO secret VALUES (1, ?)').run(randomBytes(32))
    const [secret] = database.statement('SELECT value FROM secret').get() as Value
    for (const [id, db, name, roles, salt, iterations, storedKey, serverKey] of database.statement('SELECT id, db, name, roles, salt, iterations, storedKey, serverKey FROM users ORDER BY db, name').all() as Value[]) {
      this.#keep({ id, db, name, roles: JSON.parse(roles), credential: { salt, iterations, storedKey, serverKey } })
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

  /** The user that a client is logged in as, as it is now: undefined if it has been dropped since, and if there is none. */
  current (client: Login): User | undefined {
    if (client.generation !== this.generation) {
      const known = client.user && this.find(client.user.db, client.user.name)
      client.user = known?.id === client.user?.id ? known : undefined
      client.generation = this.generation
    }
    return client.user
  }

  /**
   * What a login is checked by. For a user that is not there it is made of a secret and the name, always the same and
   * fitting no password, so that an answer does not tell which users there are.
   */
  credential (db: string, name: string): Credential {
    const made = createHmac('sha512', this.#open().secret).update(`${db}.${name}`).digest()
    return this.find(db, name)?.credential ?? { salt: made.subarray(0, saltLength), iterations, storedKey: made.subarray(32), serverKey: made.subarray(32) }
  }

  /** Throws 51003 if there is one of that name. */
  create (db: string, name: string, password: string, roles: Role[]): void {
    if (this.find(db, name) !== undefined) throw new CommandError(51003, `User "${name}@${db}" already exists`)
    const user = { id: randomUUID(), db, name, roles, credential: credentialOf(password) }
    const { salt, iterations, storedKey, serverKey } = user.credential
    this.#open().database.statement('INSERT INTO users (id, db, name, roles, salt, iterations, storedKey, serverKey) VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(user.id, db, name, JSON.stringify(roles), salt, iterations, storedKey, serverKey)
    this.#keep(user)
  }

  /** Changes the password, the roles or both. Throws UserNotFound. */
  update (db: string, name: string, password: string | undefined, roles: Role[] | undefined): void {
    const known = this.#existing(db, name)
    const user = { ...known, roles: roles ?? known.roles, credential: password === undefined ? known.credential : credentialOf(password) }
    const { salt, iterations, storedKey, serverKey } = user.credential
    this.#open().database.statement('UPDATE users SET roles = ?, salt = ?, iterations = ?, storedKey = ?, serverKey = ? WHERE id = ?')
      .run(JSON.stringify(user.roles), salt, iterations, storedKey, serverKey, user.id)
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
