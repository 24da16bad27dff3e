import { Binary, Int32, UUID } from 'bson'
import type { Doc, Value } from '../bson/bson.ts'
import { isDocument, toNumber } from '../bson/bson.ts'
import type { Command, Handler } from '../commands/context.ts'
import { arrayField, checkDatabase, missingField, wrongType } from '../commands/context.ts'
import { CommandError } from '../errors.ts'
import type { Role } from './roles.ts'
import { isRole } from './roles.ts'
import { Conversation, authenticationFailed, mechanism } from './scram.ts'
import type { User } from './users.ts'

/** Begins a login; one that was under way on the connection is given up. */
function start ({ client, users }: Command, body: Doc, database: string): Doc {
  client.conversation = undefined
  if (typeof body.mechanism !== 'string') throw body.mechanism === undefined ? missingField('saslStart', 'mechanism') : wrongType('saslStart', 'mechanism', body.mechanism, 'string')
  if (body.mechanism !== mechanism) throw new CommandError('MechanismUnavailable', `Received authentication for mechanism ${body.mechanism} which is unknown or not enabled`)
  client.conversation = new Conversation(database, (name) => users.credential(database, name), body.options?.skipEmptyExchange === true)
  return step({ client, users }, body.payload)
}

/** Answers the client's next payload, and logs it in once the answer is the last one. Ends the login by whatever it throws. */
function step ({ client, users }: Pick<Command, 'client' | 'users'>, payload: Value): Doc {
  const conversation = client.conversation!
  client.conversation = undefined
  if (!(payload instanceof Binary)) throw wrongType('sasl', 'payload', payload, 'binData')
  const answer = conversation.answer(Buffer.from(payload.value()))
  if (!conversation.done) client.conversation = conversation
  else {
    const { database, name, credential } = conversation
    const user = users.find(database, name)
    // a password that was changed or a user that was dropped meanwhile
    if (user === undefined || user.credential !== credential) throw authenticationFailed()
    const before = users.current(client)
    if (before !== undefined && before.id !== user.id) throw new CommandError(5626701, `Each client connection may only be authenticated once. Previously authenticated as: ${before.name}@${before.db}`)
    client.user = user
    client.generation = users.generation
  }
  return { conversationId: new Int32(1), done: conversation.done, payload: new Binary(answer) }
}

const saslStart: Handler = (command) => ({ ...start(command, command.body, command.database), ok: 1 })

const saslContinue: Handler = (command) => {
  const { body, client } = command
  if (client.conversation === undefined) throw new CommandError('ProtocolError', 'No SASL session state found')
  if (toNumber(body.conversationId) !== 1) {
    client.conversation = undefined
    throw new CommandError('ProtocolError', 'sasl: Mismatched conversation id')
  }
  return { ...step(command, body.payload), ok: 1 }
}

/** What a handshake answers to one who is about to log in: the same for a user that is not there. */
export function handshake (command: Command): Doc {
  const { saslSupportedMechs, speculativeAuthenticate: early } = command.body
  const answer: Doc = {}
  if (typeof saslSupportedMechs === 'string') answer.saslSupportedMechs = [mechanism]
  if (isDocument(early)) {
    try {
      answer.speculativeAuthenticate = start(command, early, checkDatabase(early.db))
    } catch (error) {
      // as if it had not tried: it will log in the long way and get the error then
      if (!(error instanceof CommandError)) throw error
    }
  }
  return answer
}

const logout: Handler = ({ client, database }) => {
  if (client.user?.db === database) client.user = undefined
  return { ok: 1 }
}

const connectionStatus: Handler = ({ body, client, users }) => {
  if (body.showPrivileges === true) throw new CommandError('CommandNotSupported', 'showPrivileges is not supported by this database')
  const user = users.current(client)
  return {
    authInfo: {
      authenticatedUsers: user === undefined ? [] : [{ user: user.name, db: user.db }],
      authenticatedUserRoles: user?.roles ?? []
    },
    ok: 1
  }
}

/** The roles that a command gives a user, whether there are such or not. */
export function rolesField (command: Command): Role[] {
  return arrayField(command, 'roles').map((role) => {
    if (typeof role === 'string') return { role, db: command.database }
    if (!isDocument(role)) throw new CommandError('BadValue', 'Role names must be either strings or objects')
    if (typeof role.role !== 'string' || typeof role.db !== 'string') throw new CommandError('BadValue', 'A role must have the strings "role" and "db"')
    return { role: role.role, db: checkDatabase(role.db) }
  })
}

function rolesGiven (command: Command): Role[] {
  const roles = rolesField(command)
  for (const role of roles) if (!isRole(role)) throw new CommandError('RoleNotFound', `Could not find role: ${role.role}@${role.db}`)
  return roles
}

function passwordField ({ name, body }: Command): string | undefined {
  const { pwd, digestPassword, mechanisms } = body
  if (digestPassword === false) throw new CommandError('BadValue', `Use of ${mechanism} requires undigested passwords`)
  if (mechanisms !== undefined && !(Array.isArray(mechanisms) && mechanisms.includes(mechanism))) throw new CommandError('BadValue', `mechanisms must hold ${mechanism}, the only one of this database`)
  for (const option of ['customData', 'authenticationRestrictions']) {
    if (body[option] !== undefined) throw new CommandError('CommandNotSupported', `the option ${option} is not supported by this database`)
  }
  if (pwd === undefined) return undefined
  if (typeof pwd !== 'string') throw wrongType(name, 'pwd', pwd, 'string')
  if (pwd === '') throw new CommandError('BadValue', 'User passwords must not be empty')
  return pwd
}

function userName ({ name, body }: Command): string {
  const user = body[name]
  if (typeof user !== 'string') throw wrongType(name, name, user, 'string')
  if (user === '') throw new CommandError('BadValue', "User document needs 'user' field to be non-empty")
  if (user.includes('\0')) throw new CommandError('BadValue', 'Username cannot contain NULL characters')
  return user
}

const createUser: Handler = (command) => {
  const { database, users } = command
  const name = userName(command)
  const password = passwordField(command)
  if (password === undefined) throw new CommandError('BadValue', "Must provide a 'pwd' field for all user documents, except those with '$external' as the user's source db")
  users.create(database, name, password, rolesGiven(command))
  return { ok: 1 }
}

const updateUser: Handler = (command) => {
  const { body, database, users } = command
  const name = userName(command)
  const password = passwordField(command)
  const roles = body.roles === undefined ? undefined : rolesGiven(command)
  if (password === undefined && roles === undefined) throw new CommandError('BadValue', 'Must specify at least one field to update in updateUser')
  users.update(database, name, password, roles)
  return { ok: 1 }
}

const dropUser: Handler = (command) => {
  command.users.drop(command.database, userName(command))
  return { ok: 1 }
}

/** Whom usersInfo asks for, as [database, name]; without a name all users of the database, without a database all there are. */
export function usersAsked ({ body, database }: Command): Array<[db?: string, name?: string]> {
  const asked = body.usersInfo
  if (toNumber(asked) === 1) return [[database]]
  if (isDocument(asked) && asked.forAllDBs === true) return [[]]
  return (Array.isArray(asked) ? asked : [asked]).map((one) => {
    if (typeof one === 'string') return [database, one]
    if (!isDocument(one) || typeof one.user !== 'string' || typeof one.db !== 'string') throw new CommandError('BadValue', 'UserName must be either a string or an object with the strings "user" and "db"')
    return [one.db, one.user]
  })
}

const described = ({ id, db, name, roles }: User): Doc => ({ _id: `${db}.${name}`, userId: new UUID(id), user: name, db, roles, mechanisms: [mechanism] })

const usersInfo: Handler = (command) => {
  for (const option of ['showCredentials', 'showPrivileges', 'filter']) {
    if (command.body[option] !== undefined && command.body[option] !== false) throw new CommandError('CommandNotSupported', `the option ${option} is not supported by this database`)
  }
  const asked = usersAsked(command)
  const found = command.users.list().filter((user) => asked.some(([db = user.db, name = user.name]) => db === user.db && name === user.name))
  return { users: found.map(described), ok: 1 }
}

export const authenticationCommands: Record<string, Handler> = { saslStart, saslContinue, logout, connectionStatus, createUser, updateUser, dropUser, usersInfo }
