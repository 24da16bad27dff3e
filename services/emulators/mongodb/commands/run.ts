import { setTimeout as sleep } from 'node:timers/promises'
import { authorize } from '../access/authorization.ts'
import { accessCommands, checkSource } from '../access/commands.ts'
import { decode } from '../bson/encoding.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import { bodyOf } from '../protocol/messages.ts'
import type { Request } from '../protocol/messages.ts'
import { Clock } from '../query/clock.ts'
import { collectionCommands } from './collections.ts'
import { checkDatabase } from './command.ts'
import type { Client, Command, Engine, Handler, Reply } from './command.ts'
import { cursorCommands } from './cursors.ts'
import { checkOptions } from './options.ts'
import { readCommands } from './read.ts'
import { serverCommands } from './server.ts'
import { writeCommands } from './write.ts'

const handlers = new Map<string, Handler>([
  serverCommands, accessCommands, collectionCommands, readCommands, cursorCommands, writeCommands
].flatMap((commands) => Object.entries(commands)))

export const commandNames = [...handlers.keys()]

function commandOf (request: Request, client: Client, engine: Engine): Command {
  const body = bodyOf(request)
  const application = isDocument(body.client) ? body.client.application : undefined
  if (isDocument(application)) client.appName = String(application.name)
  const [name = ''] = Object.keys(body)
  const clock = new Clock(toNumber(body.maxTimeMS))
  const { sequences } = request
  const database = name === 'saslStart' ? checkSource(body.$db) : checkDatabase(body.$db)
  return { name, database, body, sequences, client, clock, ...engine }
}

/**
 * Runs the command in a request; 'close' if a fail point demands that its connection be closed.
 * Throws CommandError for what a server answers with `ok: 0`.
 */
export async function run (request: Request, client: Client, engine: Engine): Promise<Reply | 'close'> {
  const command = commandOf(request, client, engine)
  const { name, body, database } = command
  const handler = handlers.get(name)
  if (handler === undefined) throw new CommandError('CommandNotFound', `no such command: '${name}'`)
  if (engine.users.auth) authorize(command)
  const failure = engine.failPoints.enter(name, client.appName, `${database}.${String(body[name])}`)
  if (failure !== undefined && failure.blockTimeMS > 0) await sleep(failure.blockTimeMS)
  if (failure?.closeConnection) return 'close'
  if (failure?.error !== undefined) throw failure.error
  checkOptions(name, body)
  const reply = await handler(command)
  if (failure?.writeConcernError === undefined) return reply
  const { writeConcernError, errorLabels } = failure
  const doc = reply instanceof Uint8Array ? decode(reply) : reply
  return { ...doc, writeConcernError, ...(errorLabels && { errorLabels }) }
}
