import { isDocument } from '../bson/values.ts'
import type { Value } from '../bson/values.ts'
import type { Command } from '../commands/command.ts'
import { CommandError } from '../errors.ts'
import { actions, rightsOn } from './roles.ts'
import { rolesOption, usersAsked } from './user-commands.ts'
import type { User } from './users.ts'

/** Actions that must all be granted on a database. */
type Need = [database: string, actions: number]

const { find, list, write, structure, administer, users: manage, server } = actions
/** To clients that are not logged in as well. */
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
  aggregate: find,
  explain: ({ body, database }) => [[database, explained(body.explain)]],
  getMore: (command, user) => cursorNeeds(command, user, [command.body.getMore]),
  killCursors: (command, user) => cursorNeeds(command, user, command.body.cursors).map(([db]) => [db, open]),
  insert: write,
  update: write,
  delete: write,
  findAndModify: write,
  drop: structure,
  createIndexes: structure,
  dropDatabase: administer,
  listCollections: list,
  listIndexes: list,
  configureFailPoint: server,
  serverStatus: server,
  createUser: (command) => [[command.database, manage], ...grants(command)],
  updateUser: (command) => [[command.database, manage], ...changes(command)],
  dropUser: manage,
  usersInfo: (command, user) => usersAsked(command)
    .filter(({ db, name }) => db !== user.db || name !== user.name)
    .map(({ db = '*' }) => [db, manage])
}

/** A command that is not here is refused. */
export const needs = new Map(Object.entries(table))

const grants = (command: Command): Need[] => rolesOption(command).map(({ db }) => [db, manage])

/** Which roles a change takes away is not known: it needs the right to take any. */
const changes = (command: Command): Need[] =>
  command.body.roles === undefined ? [] : [['*', manage], ...grants(command)]

/** What is needed of a collection; no role grants anything on the server's own. */
function needOf (need: number, target: Value): number {
  return need !== manage && typeof target === 'string' && target.startsWith('system.') ? never : need
}

function explained (inner: Value): number {
  const [name = '', target] = Object.entries(isDocument(inner) ? inner : {})[0] ?? []
  const need = needs.get(name)
  // a command that cannot be explained gets its error from explain itself
  return typeof need === 'number' ? needOf(need, target) : find
}

/** What it took to open the cursors. Throws Unauthorized for one of another user. */
function cursorNeeds ({ name, cursors, database }: Command, user: User, ids: Value): Need[] {
  return (Array.isArray(ids) ? ids : []).flatMap((id): Need[] => {
    const cursor = cursors.find(id)
    if (cursor === undefined) return []
    if (cursor.user !== user.id) {
      throw new CommandError('Unauthorized',
        `${name}: cursor id ${String(id)} was not created by the authenticated user`)
    }
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
  const target = body[name]
  const needed = typeof need === 'number' ? [[database, needOf(need, target)] as Need] : need?.(command, user)
  if (needed?.every(([db, all]) => (rightsOn(user.rights, db) & all) === all)) return
  const shown = typeof target === 'string' ? `"${target}"` : 1
  throw new CommandError('Unauthorized',
    `not authorized on ${database} to execute command { ${name}: ${shown} }`)
}
