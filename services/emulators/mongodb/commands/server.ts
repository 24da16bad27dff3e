import { Int32, Long } from 'bson'
import { handshake } from '../access/authentication.ts'
import { integer } from '../bson/values.ts'
import { arrayOption, requireAdmin, sessionId } from './command.ts'
import type { Handler } from './command.ts'

const ok = new Int32(1)
const version = '7.0.0'
const maxBsonObjectSize = new Int32(16 * 1024 * 1024)

/** What clients learn of the server: its limits are those of MongoDB 7.0. */
const hello: Handler = (command) => ({
  helloOk: true,
  [command.name === 'hello' ? 'isWritablePrimary' : 'ismaster']: true,
  maxBsonObjectSize,
  maxMessageSizeBytes: new Int32(48000000),
  maxWriteBatchSize: new Int32(100000),
  localTime: new Date(),
  logicalSessionTimeoutMinutes: new Int32(30),
  connectionId: new Int32(command.client.connectionId),
  minWireVersion: new Int32(0),
  maxWireVersion: new Int32(21),
  readOnly: false,
  ...handshake(command),
  ok
})

const ping: Handler = () => ({ ok })

const buildInfo: Handler = () => ({
  version,
  gitVersion: 'embedded',
  modules: [],
  storageEngines: ['sqlite'],
  bits: new Int32(64),
  debug: false,
  maxBsonObjectSize,
  ok
})

/** The part of MongoDB's reply that shows whether something grows. */
const serverStatus: Handler = ({ cursors }) => ({
  version,
  process: 'mongod',
  pid: integer(process.pid),
  uptime: process.uptime(),
  localTime: new Date(),
  mem: { resident: integer(Math.round(process.memoryUsage.rss() / 2 ** 20)) },
  metrics: { cursor: { open: { total: Long.fromNumber(cursors.size) } } },
  ok
})

const endSessions: Handler = (command) => {
  for (const session of arrayOption(command, command.name)) {
    const id = sessionId(command.name, session)
    if (id !== undefined) command.cursors.endSession(id, command.client.user?.id)
  }
  return { ok }
}

const configureFailPoint: Handler = (command) => {
  requireAdmin(command)
  const { body, failPoints } = command
  const entered = failPoints.configure(body.configureFailPoint, body.mode, body.data)
  return { count: integer(entered), ok }
}

export const serverCommands: Record<string, Handler> = {
  hello,
  isMaster: hello,
  ismaster: hello,
  ping,
  buildInfo,
  buildinfo: buildInfo,
  serverStatus,
  endSessions,
  configureFailPoint
}
