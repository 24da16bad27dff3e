import { randomUUID } from 'node:crypto'
import { CommandError } from '../errors.ts'
import type { Credential } from './scram.ts'
import { credentialOf } from './scram.ts'
import type { Database } from '../storage/database.ts'
import type { Storage } from '../storage/storage.ts'
import { usersWithTokens, type TokenLogin } from './tokens.ts'

export interface Role { role: string, db: string }

/** A user of a database. A change of it makes another object of the same id. */
export interface User {
  /** A user of the same name that is made later has another. */
  id: string
  db: string
  name: string
  roles: Role[]
  /** Undefined for a user that logs in with tokens. */
  credential: Credential | undefined
}

// no command reaches it: a client's database has no `$` in its name
const databaseName = '$users'
const tables = `
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, db TEXT NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL,
    salt BLOB NOT NULL, iterations INTEGER NOT NULL, storedKey BLOB NOT NULL, serverKey BLOB NOT NULL,
    UNIQUE (db, name)
  );
`

const columns = 'id, db, name, roles, salt, iterations, storedKey, serverKey'
type UserRow = [
  id: string, db: string, name: string, roles: string,
  salt: Uint8Array, iterations: number, storedKey: Uint8Array, serverKey: Uint8Array
]

/** The users of all databases, in a file of their own. A change is on disk when its method returns. */
export class Users {
  /** Whether a client must be logged in, and may do only what its user may. */
  readonly auth: boolean
  readonly tokens: TokenLogin | undefined
  #storage: Storage
  #byName = new Map<string, User>()
  #opened: Database | undefined

  constructor (storage: Storage, auth: boolean, tokens?: TokenLogin) {
    this.#storage = storage
    this.auth = auth
    this.tokens = tokens
    if (tokens) for (const user of usersWithTokens(tokens)) this.#keep(user)
    if (auth || storage.database(databaseName) !== undefined) this.#open()
  }

  #open (): Database {
    if (this.#opened !== undefined) return this.#opened
    const database = this.#storage.create(databaseName)
    database.sqlite.exec(tables)
    const rows = database.statement(`SELECT ${columns} FROM users ORDER BY db, name`).all()
    for (const row of rows as unknown as UserRow[]) {
      const [id, db, name, roles, salt, iterations, storedKey, serverKey] = row
      const credential = { salt, iterations, storedKey, serverKey }
      this.#keep({ id, db, name, roles: JSON.parse(roles), credential })
    }
    this.#opened = database
    return database
  }

  #keep (user: User): void {
    this.#byName.set(`${user.db}.${user.name}`, user)
  }

  get size (): number {
    return this.#byName.size
  }

  find (db: string, name: string): User | undefined {
    return this.#byName.get(`${db}.${name}`)
  }

  /** The user of a client as it is now, undefined if it has none or it has been dropped. */
  current ({ user }: { user: User | undefined }): User | undefined {
    const known = user && this.find(user.db, user.name)
    return known?.id === user?.id ? known : undefined
  }

  /** Throws 51003 if there is one of that name. */
  create (db: string, name: string, password: string, roles: Role[]): void {
    if (this.find(db, name)) throw new CommandError(51003, `User "${name}@${db}" already exists`)
    this.#store({ id: randomUUID(), db, name, roles, credential: credentialOf(password) })
  }

  /** Throws UserNotFound. */
  setPassword (db: string, name: string, password: string): void {
    this.#store({ ...this.#existing(db, name), credential: credentialOf(password) })
  }

  #store (user: User & { credential: Credential }): void {
    const { id, db, name, roles, credential: { salt, iterations, storedKey, serverKey } } = user
    this.#open().statement(`INSERT OR REPLACE INTO users (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(id, db, name, JSON.stringify(roles), salt, iterations, storedKey, serverKey)
    this.#keep(user)
  }

  /** Throws UserNotFound. */
  drop (db: string, name: string): void {
    this.#open().statement('DELETE FROM users WHERE id = ?').run(this.#existing(db, name).id)
    this.#byName.delete(`${db}.${name}`)
  }

  #existing (db: string, name: string): User {
    const user = this.find(db, name)
    if (user === undefined) throw new CommandError('UserNotFound', `User '${name}@${db}' not found`)
    return user
  }
}
