import type { Value } from '../bson/bson.ts'
import { isDocument } from '../bson/bson.ts'
import { rolesField, usersAsked } from './authentication.ts'
import type { Command } from '../commands/context.ts'
import { CommandError } from '../errors.ts'
import { actions, rightsOn } from './roles.ts'
import type { User } from './users.ts'

/** Actions that must all be granted on a database. */
type Need = [database: string, actions: number]

const { find, list, write, structure, administer, users: manage, server } = actions
/** To those who are not logged in as well. */
const open = 0
/** What no role grants. */
const never = 1 << 30

/** What each command needs to be granted on its database, or a function where more than its name decides. */
const table: Record<string, number | ((command: Command, user: User) => Need[])> = {
  hello: open,
  isMaster: open,
  ismaster: open,
  ping: open,
  buildInfo: open,
  buildinfo: open,
  saslStart: open,
  saslContinue: open,
  logout: open,
  connectionStatus: open,
  endSessions: open,
  find,
  count: find,
  distinct: find,
  // all that its stages read lies in the same database
  aggregate: find,
  explain: ({ body, database }) => [[database, explained(body.explain)]],
  getMore: (command, user) => cursorNeeds(command, user, [command.body.getMore]),
  killCursors: (command, user) => cursorNeeds(command, user, command.body.cursors).map(([db]) => [db, open]),
  insert: write,
  update: write,
  delete: write,
  findAndModify: write,
  findandmodify: write,
  create: structure,
  drop: structure,
  createIndexes: structure,
  dropIndexes: structure,
  deleteIndexes: structure,
  collMod: administer,
  dropDatabase: administer,
  listCollections: list,
  listIndexes: list,
  // it answers what its user may see
  listDatabases: () => [],
  configureFailPoint: server,
  serverStatus: server,
  createUser: (command) => [[command.database, manage], ...grants(command)],
  // which roles it takes away is not known: it takes the right to take any
  updateUser: (command) => [[command.database, manage], ...(command.body.roles === undefined ? [] : [['*', manage] as Need, ...grants(command)])],
  dropUser: manage,
  usersInfo: (command, user) => usersAsked(command).filter(([db, name]) => db !== user.db || name !== user.name).map(([db = '*']) => [db, manage])
}

/** A command that is not here is refused. */
export const needs = new Map(Object.entries(table))

const grants = (command: Command): Need[] => rolesField(command).map(({ db }) => [db, manage])

/** What is needed of a collection; a server's own ones are for no role here. */
const needOf = (need: number, target: Value): number => need !== manage && typeof target === 'string' && target.startsWith('system.') ? never : need

function explained (inner: Value): number {
  const [[name, target] = ['', undefined]] = Object.entries(isDocument(inner) ? inner : {})
  const need = needs.get(name)
  // what cannot be explained is told so by explain itself
  return typeof need === 'number' ? needOf(need, target) : find
}

/** What it took to open the cursors. Throws Unauthorized for one of another user. */
function cursorNeeds ({ name, cursors, database }: Command, user: User, ids: Value): Need[] {
  return (Array.isArray(ids) ? ids : []).flatMap((id): Need[] => {
    const cursor = cursors.peek(id)
    if (cursor === undefined) return []
    if (cursor.user !== user.id) throw new CommandError('Unauthorized', `${name}: cursor id ${String(id)} was not created by the authenticated user`)
    return [[database, needs.get(cursor.command) as number]]
  })
}

/** Throws Unauthorized for what the client's user, as it is now, may not do. */
export function authorize (command: Command): void {
  const { name, database, body, client, users } = command
  const need = needs.get(name)
  if (need === open) return
  const user = users.current(client)
  if (user === undefined) {
    // the first user is made from the machine itself
    if (name === 'createUser' && database === 'admin' && client.local && users.size === 0) return
    throw new CommandError('Unauthorized', `Command ${name} requires authentication`)
  }
  const has = (db: string, all: number): boolean => (rightsOn(user.rights, db) & all) === all
  const target = body[name]
  const allowed = typeof need === 'number'
    ? has(database, needOf(body.bypassDocumentValidation === true ? need | administer : need, target))
    : need?.(command, user).every(([db, all]) => has(db, all)) ?? false
  if (!allowed) throw new CommandError('Unauthorized', `not authorized on ${database} to execute command { ${name}: ${typeof target === 'string' ? `"${target}"` : 1} }`)
}
