import type { MongoClient, ServerHeartbeatStartedEvent } from 'mongodb'

/** How long a connection may take to be established, and a check of the server to be answered. */
export const CONNECT_MS = 4_000
/** The time between two checks of a server, or for which it may hold back its answer to one. */
export const HEARTBEAT_MS = 10_000
/** For a busy machine. */
const MARGIN_MS = 1_000

/**
 * Calls `stalled` once if a check of the server ends neither well nor badly in its time, so that the client
 * would never select the server again: the driver waits for ever for a socket to drain that was destroyed,
 * but has not emitted `close` yet, as when all connections break at once and another check begins meanwhile.
 */
export function whenStalled (client: MongoClient, stalled: () => void) {
  const timers = new Map<string, NodeJS.Timeout>()
  const end = ({ connectionId }: { connectionId: string }) => {
    clearTimeout(timers.get(connectionId))
    timers.delete(connectionId)
  }
  const stop = () => {
    for (const timer of timers.values()) clearTimeout(timer)
    client.off('serverHeartbeatStarted', begin)
  }
  const begin = (event: ServerHeartbeatStartedEvent) => {
    end(event)
    // To connect and to be answered, or to be answered late
    const ms = CONNECT_MS + Math.max(CONNECT_MS, event.awaited ? HEARTBEAT_MS : 0) + MARGIN_MS
    timers.set(event.connectionId, setTimeout(() => {
      stop()
      stalled()
    }, ms).unref())
  }
  client.on('serverHeartbeatStarted', begin)
    .on('serverHeartbeatSucceeded', end)
    .on('serverHeartbeatFailed', end)
    .on('topologyClosed', stop)
}
