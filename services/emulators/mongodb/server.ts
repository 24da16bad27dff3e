import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { Logger } from 'pino'
import { StartError } from '../processes/start-error.ts'
import type { TokenLogin } from './access/tokens.ts'
import { Users } from './access/users.ts'
import type { Engine } from './commands/command.ts'
import { Cursors } from './commands/cursors.ts'
import { Connection } from './protocol/connection.ts'
import { FailPoints } from './protocol/failpoints.ts'
import { Storage, expire } from './storage/storage.ts'

export interface DatabaseOptions {
  /** The directory of the data files, made if there is none. One process at a time. */
  dataDir: string
  /** Default 127.0.0.1. */
  host?: string
  /** 0, the default, takes a free port. */
  port?: number
  /** Whether clients must log in, as with mongod's --auth. Default false. */
  auth?: boolean
  /** A user that may do everything, made in `admin` at the start if there is no user at all. */
  root?: { user: string, password: string }
  /** Lets identities log in with tokens; needs `auth`. */
  tokens?: TokenLogin
  logger: Logger
}

export interface RunningDatabase {
  port: number
  /** Transactions committed so far: one for all writes that arrive together. */
  readonly commits: number
  /** Cursors open for getMore. */
  readonly cursors: number
  /** Deletes the documents that have expired now; returns how many. */
  expire: () => number
  /** Commits what was begun, closes connections and files. */
  close: () => Promise<void>
}

/** Time between deletions of expired documents, in milliseconds. */
const expiryTime = 60_000
/** How long a connection may take to read its last replies when the database closes, in milliseconds. */
const closeTime = 500

/**
 * Starts a database that speaks the MongoDB wire protocol, for development and tests.
 * Throws StartError if the data directory is in use or damaged, or the port is taken.
 */
export async function startDatabase (options: DatabaseOptions): Promise<RunningDatabase> {
  const { dataDir, host = '127.0.0.1', port = 0, auth = false, root, tokens, logger } = options
  const storage = new Storage(dataDir)
  const users = openUsers(storage, { auth, root, tokens })
  const engine: Engine = { storage, users, cursors: new Cursors(), failPoints: new FailPoints() }
  const sockets = new Set<Socket>()
  const server = acceptConnections(engine, sockets, logger)
  const bound = await listen(server, host, port).catch((error: Error) => {
    storage.close()
    throw error
  })
  logger.info({ host, port: bound },
    `database listening on port ${bound}: for development, not for production`)

  const cleaning = setInterval(() => {
    engine.cursors.expire()
    const deleted = expire(storage, logger)
    if (deleted > 0) logger.debug({ deleted }, 'expired documents deleted')
  }, expiryTime).unref()

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
      storage.flush()
      await closeServer(server, sockets)
      storage.close()
    }
  }
}

type Access = Pick<DatabaseOptions, 'root' | 'tokens'> & { auth: boolean }

function openUsers (storage: Storage, { auth, root, tokens }: Access): Users {
  try {
    const users = new Users(storage, auth, tokens)
    if (root !== undefined && users.size === 0) {
      users.create('admin', root.user, root.password, [{ role: 'root', db: 'admin' }])
    }
    return users
  } catch (error) {
    storage.close()
    throw new StartError(`users cannot be read or made: ${(error as Error).message}`)
  }
}

function acceptConnections (engine: Engine, sockets: Set<Socket>, logger: Logger): Server {
  let connections = 0
  return createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    const client = {
      connectionId: ++connections,
      appName: undefined,
      local: /^(::1$|(::ffff:)?127\.)/.test(socket.remoteAddress ?? ''),
      user: undefined,
      loginExpires: undefined,
      conversation: undefined
    }
    new Connection(socket, client, engine, logger).start()
  })
}

/** Listens; returns the port. Throws StartError. */
async function listen (server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const reason = `cannot listen on ${host}:${port}: ${message}`
      reject(new StartError(code === 'EADDRINUSE' ? `port ${port} on ${host} is in use` : reason))
    })
    server.listen(port, host, resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

async function closeServer (server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  for (const socket of sockets) socket.destroySoon()
  const left = setTimeout(() => { for (const socket of sockets) socket.destroy() }, closeTime)
  await closed
  clearTimeout(left)
}
