/** What commands do to a database, one bit each, as far as the built-in roles differ. */
export const actions = {
  find: 1,
  /** listCollections and listIndexes. */
  list: 2,
  write: 4,
  /** Making and dropping collections and indexes. */
  structure: 8,
  /** dropDatabase. */
  administer: 16,
  /** Reading, making, changing and dropping users, and granting roles of the database. */
  users: 32,
  /** What concerns the whole server. */
  server: 64
} as const

export interface Role { role: string, db: string }

/** Actions by database; `*` stands for every one but `local` and `config`. */
export type Rights = Map<string, number>

const { find, list, write, structure, administer, users } = actions
const read = find | list
const readWrite = read | write | structure
const dbAdmin = list | structure | administer

// https://www.mongodb.com/docs/manual/reference/built-in-roles/
const databaseRoles = new Map([
  ['read', read],
  ['readWrite', readWrite],
  ['dbAdmin', dbAdmin],
  ['userAdmin', users],
  ['dbOwner', readWrite | dbAdmin | users]
])
const anyDatabaseRoles = new Map([
  ['readAnyDatabase', read],
  ['readWriteAnyDatabase', readWrite],
  ['dbAdminAnyDatabase', dbAdmin],
  ['userAdminAnyDatabase', users]
])
const everything = Object.values(actions).reduce((all, action) => all | action, 0)
const apart = ['local', 'config']

export function isRole ({ role, db }: Role): boolean {
  return databaseRoles.has(role) || (db === 'admin' && (role === 'root' || anyDatabaseRoles.has(role)))
}

export function rightsOf (roles: Role[]): Rights {
  const rights: Rights = new Map()
  const add = (db: string, granted: number): void => { rights.set(db, (rights.get(db) ?? 0) | granted) }
  for (const { role, db } of roles) {
    if (role === 'root') for (const every of ['*', ...apart]) add(every, everything)
    else if (anyDatabaseRoles.has(role)) add('*', anyDatabaseRoles.get(role)!)
    else add(db, databaseRoles.get(role) ?? 0)
  }
  const any = rights.get('*') ?? 0
  for (const db of rights.keys()) if (!apart.includes(db)) add(db, any)
  return rights
}

export function rightsOn (rights: Rights, database: string): number {
  return rights.get(database) ?? (apart.includes(database) ? 0 : rights.get('*') ?? 0)
}
