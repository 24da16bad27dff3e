import { Int32, Long } from 'bson'
import { handshake } from '../access/authentication.ts'
import { integer } from '../bson/values.ts'
import { maxDocument } from '../update/update.ts'
import { requireAdmin } from './command.ts'
import type { Handler } from './command.ts'

const ok = new Int32(1)

/** What clients learn of the server: its limits are those of MongoDB 7.0. */
const hello: Handler = (command) => ({
  helloOk: true,
  [command.name === 'hello' ? 'isWritablePrimary' : 'ismaster']: true,
  maxBsonObjectSize: new Int32(maxDocument),
  maxMessageSizeBytes: new Int32(48000000),
  maxWriteBatchSize: new Int32(100000),
  localTime: new Date(),
  connectionId: new Int32(command.client.connectionId),
  minWireVersion: new Int32(0),
  maxWireVersion: new Int32(21),
  readOnly: false,
  ...handshake(command),
  ok
})

const ping: Handler = () => ({ ok })

/** The part of MongoDB's reply that shows whether something grows. */
const serverStatus: Handler = ({ cursors }) => ({
  version: '7.0.0', metrics: { cursor: { open: { total: Long.fromNumber(cursors.size) } } }, ok
})

const configureFailPoint: Handler = (command) => {
  requireAdmin(command)
  const { body, failPoints } = command
  const entered = failPoints.configure(body.configureFailPoint, body.mode, body.data)
  return { count: integer(entered), ok }
}

export const serverCommands: Record<string, Handler> = {
  hello, isMaster: hello, ismaster: hello, ping, serverStatus, configureFailPoint
}
