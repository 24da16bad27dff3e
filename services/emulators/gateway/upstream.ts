import type { Socket } from 'node:net'
import { buildConnector, Pool } from 'undici'
import { connectTo, KEPT_MS, type Lookup } from '#common/http/upstream.ts'

const HEAR_OUT_MS = 1000

/** Kept connections to a service at `origin`, which has `timeout` ms to begin its answer and between two parts of it. */
export function connect (origin: string, timeout: number, lookup?: Lookup) {
  return connectTo(origin, {
    lookup,
    // What came under a route goes out under it
    names: { target: 'patient', route: (_path, { route }) => route },
    open: (origin, via) => new Pool(origin, { headersTimeout: timeout, bodyTimeout: timeout, keepAliveMaxTimeout: KEPT_MS, connect: via(connector(timeout)) })
  })
}

/** Connects within `timeout` ms, and hears a service out that answers before it has read all. */
export function connector (timeout: number): buildConnector.connector {
  const connect = buildConnector({ timeout: Math.min(timeout, 10_000) })
  return (options, callback) => connect(options, (...[error, socket]) => {
    if (error) return callback(error, null)
    hearOut(socket)
    callback(null, socket)
  })
}

type Done = (error?: Error | null) => void
type Writer = (...args: [...unknown[], Done]) => void

/**
 * Lets a failed write fail only after what the peer sent before it closed has been read: a service that refuses
 * a large body answers and closes while the body is still being written.
 */
function hearOut (socket: Socket) {
  const writers = socket as unknown as Record<'_write' | '_writev', Writer>
  for (const name of ['_write', '_writev'] as const) {
    const write = writers[name]
    writers[name] = (...args) => {
      const done = args.pop() as Done
      write.call(socket, ...args, (error?: Error | null) => {
        if (!error || socket.destroyed) return done(error)
        const timer = setTimeout(done, HEAR_OUT_MS, error)
        socket.once('close', () => clearTimeout(timer))
      })
    }
  }
}
