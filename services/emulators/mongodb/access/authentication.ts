import { Binary } from 'bson'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { checkDatabase, missingField, wrongType } from '../commands/command.ts'
import type { Command, Handler } from '../commands/command.ts'
import { CommandError, notSupported } from '../errors.ts'
import { Conversation, authenticationFailed, mechanism } from './scram.ts'

/** Begins a login; one that was under way on the connection is given up. */
function start ({ client, users }: Command, body: Doc, database: string): Doc {
  client.conversation = undefined
  const given = body.mechanism
  if (given === undefined) throw missingField('saslStart', 'mechanism')
  if (typeof given !== 'string') throw wrongType('saslStart', 'mechanism', given, 'string')
  if (given !== mechanism) {
    throw new CommandError('MechanismUnavailable',
      `Received authentication for mechanism ${given} which is unknown or not enabled`)
  }
  if (!isDocument(body.options) || body.options.skipEmptyExchange !== true) {
    throw notSupported('a login without skipEmptyExchange')
  }
  client.conversation = new Conversation(database, (name) => users.credential(database, name))
  return step({ client, users }, body.payload)
}

/** Answers the client's next payload, and logs it in with the last answer. An error ends the login. */
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
    if (before !== undefined && before.id !== user.id) {
      throw new CommandError(5626701, 'Each client connection may only be authenticated once. ' +
        `Previously authenticated as: ${before.name}@${before.db}`)
    }
    client.user = user
  }
  return { conversationId: 1, done: conversation.done, payload: new Binary(answer) }
}

const saslStart: Handler = (command) => ({ ...start(command, command.body, command.database), ok: 1 })

const saslContinue: Handler = (command) => {
  const { body, client } = command
  if (client.conversation === undefined) {
    throw new CommandError('ProtocolError', 'No SASL session state found')
  }
  if (toNumber(body.conversationId) !== 1) {
    client.conversation = undefined
    throw new CommandError('ProtocolError', 'sasl: Mismatched conversation id')
  }
  return { ...step(command, body.payload), ok: 1 }
}

/** What a handshake answers to a client that is about to log in: the same for a user that does not exist. */
export function handshake (command: Command): Doc {
  const { saslSupportedMechs, speculativeAuthenticate: early } = command.body
  const answer: Doc = {}
  if (typeof saslSupportedMechs === 'string') answer.saslSupportedMechs = [mechanism]
  if (isDocument(early)) {
    try {
      answer.speculativeAuthenticate = start(command, early, checkDatabase(early.db))
    } catch (error) {
      // the client logs in again without the handshake, and gets the error then
      if (!(error instanceof CommandError)) throw error
    }
  }
  return answer
}

export const authenticationCommands: Record<string, Handler> = { saslStart, saslContinue }
