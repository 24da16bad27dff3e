import { Int32, UUID } from 'bson'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc } from '../bson/values.ts'
import { arrayOption, checkDatabase, wrongType } from '../commands/command.ts'
import type { Command, Handler } from '../commands/command.ts'
import { CommandError } from '../errors.ts'
import { isRole } from './roles.ts'
import type { Role } from './roles.ts'
import { mechanism } from './scram.ts'
import type { User } from './users.ts'

const ok = new Int32(1)
const bad = (message: string): never => { throw new CommandError('BadValue', message) }

/** The roles that a command gives a user, whether they exist or not. */
export function rolesOption (command: Command): Role[] {
  return arrayOption(command, 'roles').map((role) => {
    if (typeof role === 'string') return { role, db: command.database }
    if (!isDocument(role) || typeof role.role !== 'string' || typeof role.db !== 'string') {
      return bad('A role must be a string or have the strings "role" and "db"')
    }
    return { role: role.role, db: checkDatabase(role.db) }
  })
}

function existingRoles (command: Command): Role[] {
  const roles = rolesOption(command)
  const unknown = roles.find((role) => !isRole(role))
  if (unknown === undefined) return roles
  throw new CommandError('RoleNotFound', `Could not find role: ${unknown.role}@${unknown.db}`)
}

function passwordOption ({ name, body }: Command): string | undefined {
  const { pwd, digestPassword, mechanisms } = body
  if (digestPassword === false) bad(`Use of ${mechanism} requires undigested passwords`)
  if (mechanisms !== undefined && !(Array.isArray(mechanisms) && mechanisms.includes(mechanism))) {
    bad(`mechanisms must hold ${mechanism}, the only one of this database`)
  }
  if (pwd === undefined) return undefined
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
  const name = userName(command)
  const password = passwordOption(command) ?? bad("Must provide a 'pwd' field for all user documents, " +
    "except those with '$external' as the user's source db")
  command.users.create(command.database, name, password, existingRoles(command))
  return { ok }
}

const updateUser: Handler = (command) => {
  const name = userName(command)
  const password = passwordOption(command)
  const roles = command.body.roles === undefined ? undefined : existingRoles(command)
  if (password === undefined && roles === undefined) {
    bad('Must specify at least one field to update in updateUser')
  }
  command.users.update(command.database, name, password, roles)
  return { ok }
}

const dropUser: Handler = (command) => {
  command.users.drop(command.database, userName(command))
  return { ok }
}

/**
 * The users that usersInfo asks for; all of the database without a name, all there are without a database.
 */
export function usersAsked ({ body, database }: Command): Array<{ db?: string, name?: string }> {
  const asked = body.usersInfo
  if (toNumber(asked) === 1) return [{ db: database }]
  if (isDocument(asked) && asked.forAllDBs === true) return [{}]
  return (Array.isArray(asked) ? asked : [asked]).map((one) => {
    if (typeof one === 'string') return { db: database, name: one }
    if (isDocument(one) && typeof one.user === 'string' && typeof one.db === 'string') {
      return { db: one.db, name: one.user }
    }
    return bad('UserName must be either a string or an object with the strings "user" and "db"')
  })
}

function describeUser ({ id, db, name, roles }: User): Doc {
  return {
    _id: `${db}.${name}`,
    userId: new UUID(id),
    user: name,
    db,
    roles: roles.map((role) => ({ ...role })),
    mechanisms: [mechanism]
  }
}

const usersInfo: Handler = (command) => {
  const asked = usersAsked(command)
  const found = command.users.list().filter((user) => (
    asked.some(({ db = user.db, name = user.name }) => db === user.db && name === user.name)
  ))
  return { users: found.map(describeUser), ok }
}

export const userCommands: Record<string, Handler> = { createUser, updateUser, dropUser, usersInfo }
