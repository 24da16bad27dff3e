import { Long } from 'bson'
import { handshake } from '../access/commands.ts'
import { CommandError } from '../errors.ts'
import { maxDocument } from '../update/update.ts'
import type { Handler } from './command.ts'

/** What clients learn of the server: its limits are those of MongoDB 7.0. */
const hello: Handler = (command) => ({
  helloOk: true,
  [command.name === 'hello' ? 'isWritablePrimary' : 'ismaster']: true,
  maxBsonObjectSize: maxDocument,
  maxMessageSizeBytes: 48000000,
  maxWriteBatchSize: 100000,
  connectionId: command.client.connectionId,
  minWireVersion: 0,
  maxWireVersion: 21,
  ...handshake(command),
  ok: 1
})

const ping: Handler = () => ({ ok: 1 })

/** The part of MongoDB's reply that shows whether something grows. */
const serverStatus: Handler = ({ cursors }) => ({
  version: '7.0.0', metrics: { cursor: { open: { total: Long.fromNumber(cursors.size) } } }, ok: 1
})

const configureFailPoint: Handler = ({ name, database, body, failPoints }) => {
  if (database !== 'admin') {
    throw new CommandError('Unauthorized', `${name} may only be run against the admin database.`)
  }
  const entered = failPoints.configure(body.configureFailPoint, body.mode, body.data)
  return { count: entered, ok: 1 }
}

export const serverCommands: Record<string, Handler> = {
  hello, isMaster: hello, ismaster: hello, ping, serverStatus, configureFailPoint
}
