import { Binary, UUID } from 'bson'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { arrayOption, checkDatabase, missingField, wrongType } from '../commands/command.ts'
import type { Command, Handler } from '../commands/command.ts'
import { CommandError, bad, notSupported } from '../errors.ts'
import { isRole } from './authorization.ts'
import { Conversation, authenticationFailed, mechanism } from './scram.ts'
import { external, readToken, tokenMechanism } from './tokens.ts'
import type { Role, User } from './users.ts'

type Login = Pick<Command, 'client' | 'users'>

/** Begins a login; one that was under way on the connection is given up. */
function start (command: Command, body: Doc, database: string): Doc {
  const { client, users } = command
  client.conversation = undefined
  const given = body.mechanism
  if (given === undefined) throw missingField('saslStart', 'mechanism')
  if (typeof given !== 'string') throw wrongType('saslStart', 'mechanism', given, 'string')
  if (given === tokenMechanism && users.tokens && database === external) return startToken(command, body)
  if (given !== mechanism) {
    throw new CommandError('MechanismUnavailable',
      `Received authentication for mechanism ${given} which is unknown or not enabled`)
  }
  if (!isDocument(body.options) || body.options.skipEmptyExchange !== true) {
    throw notSupported('a login without skipEmptyExchange')
  }
  client.conversation = new Conversation(database, (name) => users.find(database, name)?.credential)
  return step({ client, users }, body.payload)
}

/** Logs a client in with a token, in one step. */
function startToken ({ client, users }: Command, { payload }: Doc): Doc {
  const { name, expires } = readToken(users.tokens!, payload)
  const user = users.find(external, name)
  if (user === undefined) throw authenticationFailed()
  logIn({ client, users }, user, expires)
  return { conversationId: 1, done: true, payload: new Binary(Buffer.alloc(0)) }
}

/** Answers the client's next payload, and logs it in with the last answer. An error ends the login. */
function step ({ client, users }: Login, payload: Value): Doc {
  const conversation = client.conversation!
  client.conversation = undefined
  if (!(payload instanceof Binary)) throw wrongType('sasl', 'payload', payload, 'binData')
  const answer = conversation.answer(Buffer.from(payload.value()))
  if (!conversation.done) client.conversation = conversation
  else {
    const { database, name, credential } = conversation
    const user = users.find(database, name)
    // A password that was changed or a user that was dropped meanwhile
    if (user === undefined || user.credential !== credential) throw authenticationFailed()
    logIn({ client, users }, user, undefined)
  }
  return { conversationId: 1, done: conversation.done, payload: new Binary(answer) }
}

function logIn ({ client, users }: Login, user: User, expires: number | undefined) {
  const before = users.current(client)
  if (before !== undefined && before.id !== user.id) {
    throw new CommandError(5626701, 'Each client connection may only be authenticated once. ' +
      `Previously authenticated as: ${before.name}@${before.db}`)
  }
  client.user = user
  client.loginExpires = expires
}

const saslStart: Handler = (command) => ({ ...start(command, command.body, command.database), ok: 1 })

const saslContinue: Handler = (command) => {
  const { body, client } = command
  if (client.conversation === undefined || toNumber(body.conversationId) !== 1) {
    client.conversation = undefined
    throw new CommandError('ProtocolError', 'No SASL session state found')
  }
  return { ...step(command, body.payload), ok: 1 }
}

/** The database that knows the user. */
export const checkSource = (name: Value): string => name === external ? external : checkDatabase(name)

/** What a handshake answers to a client that is about to log in. */
export function handshake (command: Command): Doc {
  const { saslSupportedMechs, speculativeAuthenticate: early } = command.body
  const answer: Doc = {}
  if (typeof saslSupportedMechs === 'string') answer.saslSupportedMechs = [mechanism]
  if (isDocument(early)) {
    try {
      answer.speculativeAuthenticate = start(command, early, checkSource(early.db))
    } catch (error) {
      // The client logs in again without the handshake, and gets the error then
      if (!(error instanceof CommandError)) throw error
    }
  }
  return answer
}

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

export const accessCommands: Record<string, Handler> = {
  saslStart, saslContinue, createUser, updateUser, dropUser, usersInfo
}
