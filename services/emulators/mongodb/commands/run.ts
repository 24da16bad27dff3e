import { adminCommands } from './admin.ts'
import { authenticationCommands } from '../access/authentication.ts'
import { authorize } from '../access/authorization.ts'
import { isDocument, toNumber } from '../bson/bson.ts'
import { Clock } from '../query/clock.ts'
import type { Client, Command, Handler, Reply } from './context.ts'
import { checkDatabase } from './context.ts'
import type { Cursors } from './cursors.ts'
import { CommandError } from '../errors.ts'
import { checkCommand } from './fields.ts'
import type { FailPoints } from '../protocol/failpoints.ts'
import type { Request } from '../protocol/messages.ts'
import { readCommands } from './read.ts'
import type { Storage } from '../storage/storage.ts'
import type { Users } from '../access/users.ts'
import { writeCommands } from './write.ts'

const handlers = new Map<string, Handler>(Object.entries({ ...adminCommands, ...authenticationCommands, ...readCommands, ...writeCommands }))

export const commandNames = [...handlers.keys()]

export interface Engine {
  storage: Storage
  users: Users
  cursors: Cursors
  failPoints: FailPoints
}

/** Reads a request as a command of one client. Throws CommandError for one without a database. */
export function commandOf (request: Request, client: Client, engine: Engine): Command {
  const { body, sequences } = request
  if (isDocument(body.client)) client.appName = body.client.application?.name
  return { name: Object.keys(body)[0] ?? '', database: checkDatabase(body.$db), body, sequences, client, clock: new Clock(toNumber(body.maxTimeMS)), ...engine }
}

const notFound = (name: string): CommandError => new CommandError('CommandNotFound', `no such command: '${name}'`)

/** Throws Unauthorized for a command that its client may not run, where clients must be logged in. */
export function admit (command: Command): void {
  if (!command.users.auth) return
  if (!handlers.has(command.name)) throw notFound(command.name)
  authorize(command)
}

/** Runs a command. Throws CommandError for what a server answers with `ok: 0`. */
export async function run (command: Command): Promise<Reply> {
  const { name, body } = command
  const handler = handlers.get(name)
  if (handler === undefined) throw notFound(name)
  checkCommand(name, body)
  return await handler(command)
}
