import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import { openPool } from '#common/http/pool.ts'

const READ_MS = 1_000

/** Opens a pool of connections to the service at `url`, which may pause for `timeoutMs` at the most. */
export function connect (url: string, timeoutMs: number) {
  // Recorded under the route of the client's request
  return openPool(url, { target: 'patient', route: (_path, { route }) => route }, {
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: connector(timeoutMs)
  })
}

/** Connects within `timeoutMs`, and reads a response that is sent before the whole request was received. */
export function connector (timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: Math.min(timeoutMs, 10_000), allowH2: false })
  return (options, callback) => connect(options, (...[error, socket]) => {
    if (error) return callback(error, null)
    delayWriteErrors(socket)
    callback(null, socket)
  })
}

type Done = (error?: Error | null) => void
type Writer = (...args: [...unknown[], Done]) => void

/**
 * Reports a failed write only after what the peer sent before it closed has been read: a service that refuses
 * a large body responds and closes while the body is still being written.
 */
function delayWriteErrors (socket: Socket) {
  const writers = socket as unknown as Record<'_write' | '_writev', Writer>
  for (const name of ['_write', '_writev'] as const) {
    const write = writers[name]
    writers[name] = (...args) => {
      const done = args.pop() as Done
      write.call(socket, ...args, (error?: Error | null) => {
        if (!error || socket.destroyed) return done(error)
        const timer = setTimeout(done, READ_MS, error)
        socket.once('close', () => clearTimeout(timer))
      })
    }
  }
}

/** Whether the connection of a call broke: its service died, or closed the connection at that moment. */
export function isBroken ({ code }: NodeJS.ErrnoException) {
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE'
}
