import { adminCommands } from './admin.ts'
import { authenticationCommands } from './authentication.ts'
import { authorize } from './authorization.ts'
import type { Doc } from './bson.ts'
import { isDocument, toNumber } from './bson.ts'
import type { Client, Command, Handler, Reply } from './context.ts'
import { checkDatabase } from './context.ts'
import type { Cursors } from './cursors.ts'
import { CommandError } from './errors.ts'
import type { FailPoints } from './failpoints.ts'
import type { Request } from './protocol.ts'
import { readCommands } from './read.ts'
import type { Storage } from './storage.ts'
import type { Users } from './users.ts'
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
  return { name: Object.keys(body)[0] ?? '', database: checkDatabase(body.$db), body, sequences, client, ...engine }
}

const notFound = (name: string): CommandError => new CommandError('CommandNotFound', `no such command: '${name}'`)

/** Throws Unauthorized for a command that its client may not run, where clients must be logged in. */
export function admit (command: Command): void {
  if (!command.users.auth) return
  if (!handlers.has(command.name)) throw notFound(command.name)
  authorize(command)
}

/** Runs a command. Throws CommandError for what a server answers with `ok: 0`. */
export function run (command: Command): Reply {
  const { name, body } = command
  const handler = handlers.get(name)
  if (handler === undefined) throw notFound(name)
  if (body.apiVersion !== undefined && body.apiVersion !== '1') throw new CommandError('APIVersionError', `Provided apiVersion:${String(body.apiVersion)} is not supported`)
  if (body.txnNumber !== undefined) throw new CommandError('IllegalOperation', 'Transaction numbers are only allowed on a replica set member or mongos')
  checkWriteConcern(body.writeConcern)
  return handler(command)
}

function checkWriteConcern (concern: Doc | undefined): void {
  if (concern === undefined || concern === null) return
  const w = toNumber(concern.w)
  if (w !== undefined && (w < 0 || w > 50)) throw new CommandError('FailedToParse', 'w has to be a non-negative number and not greater than 50')
  if (w !== undefined && w > 1) throw new CommandError('BadValue', "cannot use 'w' > 1 when a host is not replicated")
  if (typeof concern.w === 'string' && concern.w !== 'majority') throw new CommandError('BadValue', "cannot use non-majority 'w' mode " + concern.w + ' when a host is not a member of a replica set')
}
