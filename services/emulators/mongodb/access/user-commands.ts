import { UUID } from 'bson'
import { isDocument } from '../bson/values.ts'
import { arrayOption, checkDatabase, wrongType } from '../commands/command.ts'
import type { Command, Handler } from '../commands/command.ts'
import { CommandError, notSupported } from '../errors.ts'
import { isRole } from './authorization.ts'
import { mechanism } from './scram.ts'
import type { Role } from './users.ts'

const bad = (message: string): never => { throw new CommandError('BadValue', message) }

function rolesOption (command: Command): Role[] {
  return arrayOption(command, 'roles').map((given) => {
    const { role, db } = isDocument(given) ? given : { role: given, db: command.database }
    if (typeof role !== 'string' || typeof db !== 'string') {
      return bad('A role must be a string or have the strings "role" and "db"')
    }
    const named = { role, db: checkDatabase(db) }
    if (isRole(named)) return named
    throw new CommandError('RoleNotFound', `Could not find role: ${role}@${db}`)
  })
}

function passwordOption ({ name, body: { pwd } }: Command): string {
  if (typeof pwd !== 'string') throw wrongType(name, 'pwd', pwd, 'string')
  return pwd === '' ? bad('User passwords must not be empty') : pwd
}

function userName ({ name, body }: Command): string {
  const user = body[name]
  if (typeof user !== 'string') throw wrongType(name, name, user, 'string')
  if (user === '') bad("User document needs 'user' field to be non-empty")
  return user.includes('\0') ? bad('Username cannot contain NULL characters') : user
}

const createUser: Handler = (command) => {
  command.users.create(command.database, userName(command), passwordOption(command), rolesOption(command))
  return { ok: 1 }
}

const updateUser: Handler = (command) => {
  command.users.setPassword(command.database, userName(command), passwordOption(command))
  return { ok: 1 }
}

const dropUser: Handler = (command) => {
  command.users.drop(command.database, userName(command))
  return { ok: 1 }
}

/** One user of the database, by its name. */
const usersInfo: Handler = (command) => {
  const { usersInfo: asked } = command.body
  if (typeof asked !== 'string') throw notSupported('usersInfo of other than one name')
  const user = command.users.find(command.database, asked)
  if (user === undefined) return { users: [], ok: 1 }
  const { id, db, name, roles } = user
  const described = {
    _id: `${db}.${name}`,
    userId: new UUID(id),
    user: name,
    db,
    roles: roles.map((role) => ({ ...role })),
    mechanisms: [mechanism]
  }
  return { users: [described], ok: 1 }
}

export const userCommands: Record<string, Handler> = { createUser, updateUser, dropUser, usersInfo }
