import type { Command } from '../commands/command.ts'
import { CommandError } from '../errors.ts'
import type { Role, User } from './users.ts'

/** How much a user may do to a database. Each level includes the ones before. */
export const levels = { open: 0, read: 1, write: 2, administer: 3 } as const
type Level = keyof typeof levels

/** What each command needs on its database; `open` ones are for clients that are not logged in as well. */
const needs: Record<Level, string[]> = {
  open: ['hello', 'isMaster', 'ismaster', 'ping', 'saslStart', 'saslContinue'],
  read: [
    'find', 'count', 'aggregate', 'explain', 'getMore', 'killCursors', 'listCollections', 'listIndexes'
  ],
  write: ['insert', 'update', 'delete', 'createIndexes', 'dropIndexes'],
  administer: [
    'dropDatabase', 'configureFailPoint', 'serverStatus', 'createUser', 'updateUser', 'dropUser', 'usersInfo'
  ]
}
/** By command. */
export const levelOf = new Map(Object.entries(needs).flatMap(([level, names]) => (
  names.map((name) => [name, levels[level as Level]] as const)
)))

// https://www.mongodb.com/docs/manual/reference/built-in-roles/
const rolesOfDatabase: Record<string, Level> = { read: 'read', readWrite: 'write' }
const rolesOfAll: Record<string, Level> = { readAnyDatabase: 'read', root: 'administer' }
const apart = ['local', 'config']

export function isRole ({ role, db }: Role): boolean {
  return Object.hasOwn(rolesOfDatabase, role) || (db === 'admin' && Object.hasOwn(rolesOfAll, role))
}

function levelOn (database: string, { roles }: User): number {
  const granted = roles.map(({ role, db }) => {
    if (role === 'readAnyDatabase' && apart.includes(database)) return levels.open
    return levels[rolesOfAll[role] ?? (db === database ? rolesOfDatabase[role] : undefined) ?? 'open']
  })
  return Math.max(levels.open, ...granted)
}

/** Throws Unauthorized for a cursor that another user opened. */
function checkCursors ({ name, body, cursors }: Command, user: User): void {
  const ids = name === 'getMore' ? [body.getMore] : name === 'killCursors' ? body.cursors : []
  for (const id of Array.isArray(ids) ? ids : []) {
    const cursor = cursors.find(id)
    if (cursor === undefined || cursor.user === user.id) continue
    throw new CommandError('Unauthorized',
      `${name}: cursor id ${String(id)} was not created by the authenticated user`)
  }
}

/** Throws Unauthorized for what the client's user, as it is now, may not do. */
export function authorize (command: Command): void {
  const { name, database, body, client, users } = command
  const need = levelOf.get(name) ?? Infinity
  if (need === levels.open) return
  const user = users.current(client)
  if (user === undefined) {
    // The first user is made from the machine itself
    if (name === 'createUser' && database === 'admin' && client.local && users.size === 0) return
    throw new CommandError('Unauthorized', `Command ${name} requires authentication`)
  }
  const { now = Date.now } = users.tokens ?? {}
  if (client.loginExpires !== undefined && client.loginExpires <= now()) {
    throw new CommandError('ReauthenticationRequired', 'the token of this connection has expired')
  }
  if (levelOn(database, user) >= need) return checkCursors(command, user)
  const target = body[name]
  const shown = typeof target === 'string' ? `"${target}"` : 1
  throw new CommandError('Unauthorized',
    `not authorized on ${database} to execute command { ${name}: ${shown} }`)
}
