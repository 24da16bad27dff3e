import { setTimeout as sleep } from 'node:timers/promises'

/** Enough for a lookup, handshakes and a round trip within one network. */
const MAX_WAIT_MS = 20

/**
 * Sends a request to the service at `url`, so that the platform starts the service if it is scaled to zero.
 * Fulfilled once the request is sent, or after 20 ms. The response and errors are ignored; the settings
 * report an invalid URL.
 */
export async function wake (url = '') {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return
  // An import of node:http also loads its WebSocket and fetch, which takes 50 ms
  const { get } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http')
  const { promise: sent, resolve } = Promise.withResolvers<void>()
  get(new URL('/health/live', url), (response) => response.resume())
    .on('socket', (socket) => socket.unref())
    .on('finish', resolve)
    .on('error', () => resolve())
  await Promise.race([sent, sleep(MAX_WAIT_MS)])
}
