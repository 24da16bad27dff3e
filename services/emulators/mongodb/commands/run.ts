import { authenticationCommands } from '../access/authentication.ts'
import { authorize } from '../access/authorization.ts'
import { userCommands } from '../access/user-commands.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { Request } from '../protocol/messages.ts'
import { Clock } from '../query/clock.ts'
import { aggregateCommands } from './aggregate.ts'
import { cursorCommands } from './batches.ts'
import { collectionCommands } from './collections.ts'
import { checkDatabase } from './command.ts'
import type { Client, Command, Engine, Handler, Reply } from './command.ts'
import { explainCommands } from './explain.ts'
import { checkOptions } from './options.ts'
import { readCommands } from './read.ts'
import { serverCommands } from './server.ts'
import { writeCommands } from './write.ts'

const handlers = new Map<string, Handler>(Object.entries({
  ...serverCommands,
  ...authenticationCommands,
  ...userCommands,
  ...collectionCommands,
  ...readCommands,
  ...cursorCommands,
  ...aggregateCommands,
  ...explainCommands,
  ...writeCommands
}))

export const commandNames = [...handlers.keys()]

/** The command in a request of a client. Throws CommandError for one without a database. */
export function commandOf ({ body, sequences }: Request, client: Client, engine: Engine): Command {
  const application = isDocument(body.client) ? body.client.application : undefined
  if (isDocument(application)) client.appName = String(application.name)
  const [name = ''] = Object.keys(body)
  const clock = new Clock(toNumber(body.maxTimeMS))
  return { name, database: checkDatabase(body.$db), body, sequences, client, clock, ...engine }
}

function handlerOf (name: string): Handler {
  const handler = handlers.get(name)
  if (handler === undefined) throw new CommandError('CommandNotFound', `no such command: '${name}'`)
  return handler
}

/** Throws Unauthorized for a command that its client may not run, where clients must be logged in. */
export function admit (command: Command): void {
  if (!command.users.auth) return
  handlerOf(command.name)
  authorize(command)
}

/** Runs a command. Throws CommandError for what a server answers with `ok: 0`. */
export async function run (command: Command): Promise<Reply> {
  const handler = handlerOf(command.name)
  checkOptions(command.name, command.body)
  return await handler(command)
}
