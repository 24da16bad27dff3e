import type { Socket } from 'node:net'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { admit, commandOf, run } from './commands/run.ts'
import type { Engine } from './commands/run.ts'
import type { Client, Reply } from './commands/context.ts'
import type { Doc } from './bson/bson.ts'
import { decode } from './bson/bson.ts'
import { Cursors } from './commands/cursors.ts'
import { CommandError, ProtocolError, StartError } from './errors.ts'
import { FailPoints } from './protocol/failpoints.ts'
import type { Request } from './protocol/messages.ts'
import { maxMessage, parseMessage, replyTo } from './protocol/messages.ts'
import { Storage } from './storage/storage.ts'
import { expire } from './storage/ttl.ts'
import { Users } from './access/users.ts'

export interface DatabaseOptions {
  /** Where the data lies; made if there is none. One process at a time. */
  dataDir: string
  /** Default 127.0.0.1. */
  host?: string
  /** 0, the default, takes a free port. */
  port?: number
  /** Whether clients must log in, as with mongod's --auth. Default false. */
  auth?: boolean
  /** A user that may do everything, made in `admin` at the start if there is no user at all. */
  root?: RootUser
  logger: Logger
  /** Seconds between deletions of what TTL indexes let expire. Default 60. */
  ttlSeconds?: number
}

export interface RootUser {
  user: string
  password: string
}

export interface RunningDatabase {
  port: number
  /** Transactions committed so far: one for all writes that arrive together. */
  readonly commits: number
  /** Cursors open for getMore. */
  readonly cursors: number
  /** Deletes now what TTL indexes let expire; answers how many documents. */
  expire: () => number
  /** Commits what was begun, closes connections and files. */
  close: () => Promise<void>
}

/**
 * Starts a database that speaks the MongoDB wire protocol, for development and tests.
 * Throws StartError if the data directory is in use or damaged, or the port is taken.
 */
export async function startDatabase ({ dataDir, host = '127.0.0.1', port = 0, auth = false, root, logger, ttlSeconds = 60 }: DatabaseOptions): Promise<RunningDatabase> {
  const storage = new Storage(dataDir)
  const engine: Engine = { storage, users: usersOf(storage, auth, root), cursors: new Cursors(), failPoints: new FailPoints() }
  const sockets = new Set<Socket>()
  let connections = 0

  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    const local = /^(::1$|(::ffff:)?127\.)/.test(socket.remoteAddress ?? '')
    serve(socket, { connectionId: ++connections, appName: undefined, local, user: undefined, generation: 0, conversation: undefined }, engine, logger)
  })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  } catch (error) {
    storage.close()
    const { code, message } = error as NodeJS.ErrnoException
    throw new StartError(code === 'EADDRINUSE' ? `port ${port} on ${host} is in use` : `cannot listen on ${host}:${port}: ${message}`)
  }
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  logger.info({ host, port: bound }, `database listening on port ${bound}: for development, not for production`)

  const cleaning = setInterval(() => {
    engine.cursors.expire()
    const deleted = expire(storage, logger)
    if (deleted > 0) logger.debug({ deleted }, 'expired documents deleted')
  }, ttlSeconds * 1000).unref()

  return {
    port: bound,
    get commits () { return storage.commits },
    get cursors () { return engine.cursors.size },
    expire: () => {
      const deleted = expire(storage, logger)
      storage.flush()
      return deleted
    },
    async close () {
      clearInterval(cleaning)
      const closed = new Promise((resolve) => server.close(resolve))
      storage.flush()
      for (const socket of sockets) socket.destroySoon()
      const left = setTimeout(() => { for (const socket of sockets) socket.destroy() }, 500)
      await closed
      clearTimeout(left)
      storage.close()
    }
  }
}

function usersOf (storage: Storage, auth: boolean, root: RootUser | undefined): Users {
  try {
    const users = new Users(storage, auth)
    if (root !== undefined && users.size === 0) users.create('admin', root.user, root.password, [{ role: 'root', db: 'admin' }])
    return users
  } catch (error) {
    storage.close()
    throw new StartError(`users cannot be read or made: ${(error as Error).message}`)
  }
}

const maxQueued = 100

async function drained (socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}

/** Answers one connection's messages one after another. */
function serve (socket: Socket, client: Client, engine: Engine, logger: Logger): void {
  const queue: Buffer[] = []
  let pieces: Buffer[] = []
  let length = 0
  let busy = false

  const fail = (error: Error): void => {
    logger.warn({ connectionId: client.connectionId, reason: error.message }, 'connection closed: malformed message')
    queue.length = 0
    socket.destroy()
  }

  socket.on('error', () => socket.destroy())
  socket.on('data', (piece) => {
    pieces.push(piece as Buffer)
    length += piece.length
    while (length >= 16) {
      if (pieces[0]!.length < 4) pieces = [Buffer.concat(pieces)]
      const size = pieces[0]!.readInt32LE(0)
      if (size < 16 || size > maxMessage) return fail(new ProtocolError('message of wrong size'))
      if (length < size) return
      const all = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
      queue.push(all.subarray(0, size))
      length -= size
      pieces = length > 0 ? [all.subarray(size)] : []
    }
    if (!busy) work()
    else if (queue.length > maxQueued) socket.pause()
  })

  /** Never rejects: what goes wrong closes the connection. */
  async function work (): Promise<void> {
    busy = true
    for (let message = queue.shift(); message !== undefined && !socket.destroyed; message = queue.shift()) {
      try {
        const answer = await answerTo(parseMessage(message), client, engine, logger)
        if (answer === undefined) continue
        if (answer === 'close') socket.destroy()
        // who does not read is not served further
        else if (!socket.write(answer)) await drained(socket)
      } catch (error) {
        fail(error as Error)
        break
      }
    }
    busy = false
    socket.resume()
  }
}

async function answerTo (request: Request, client: Client, engine: Engine, logger: Logger): Promise<Buffer | 'close' | undefined> {
  const { storage, failPoints } = engine
  let reply: Reply
  try {
    const command = commandOf(request, client, engine)
    admit(command)
    const target = command.body[command.name]
    const failure = failPoints.enter(command.name, `${command.database}.${typeof target === 'string' ? target : ''}`, client.appName)
    if (failure !== undefined) {
      if (failure.blockTimeMS > 0) await sleep(failure.blockTimeMS)
      if (failure.closeConnection) return 'close'
      if (failure.error !== undefined) throw failure.error
    }
    reply = await run(command)
    if (failure?.writeConcernError !== undefined) {
      reply = { ...(reply instanceof Uint8Array ? decode(reply) : reply), writeConcernError: failure.writeConcernError, ...(failure.errorLabels ? { errorLabels: failure.errorLabels } : {}) }
    }
  } catch (error) {
    if (error instanceof CommandError && error.code === 18) logger.warn({ connectionId: client.connectionId }, 'authentication failed')
    reply = errorReply(error, logger)
  }
  if (request.silent) return undefined
  // what was read with a commit pending may contain what it is about to make durable
  if (storage.pending) {
    const failed = await new Promise<Error | undefined>((resolve) => storage.whenCommitted(resolve))
    if (failed !== undefined) {
      logger.error({ reason: failed.message }, 'commit failed')
      reply = new CommandError(/full/.test(failed.message) ? 'OutOfDiskSpace' : 'InternalError', `commit failed: ${failed.message}`).reply()
    }
  }
  return replyTo(request, reply)
}

function errorReply (error: unknown, logger: Logger): Doc {
  if (error instanceof ProtocolError) throw error
  if (error instanceof CommandError) return error.reply()
  logger.error({ reason: (error as Error).message, stack: (error as Error).stack }, 'command failed')
  return new CommandError('InternalError', (error as Error).message).reply()
}
