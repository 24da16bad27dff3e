/** As long as names, handshakes and round trips within one network take, and no longer. */
const SENT_MS = 20

/**
 * Has the platform start the service at `url`, where it is scaled to zero. Fulfilled once that is asked for, or cannot
 * be within 20 ms: nobody waits for the answer, and a URL that is none is for the settings to refuse.
 */
export async function wake (url: string | undefined) {
  if (!url || !URL.canParse(url)) return
  const { get } = url.startsWith('https:') ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, SENT_MS)
  get(new URL('/health/live', url), (response) => response.resume())
    .on('socket', (socket) => socket.unref())
    .on('finish', resolve)
    .on('error', () => resolve())
  await asked
  clearTimeout(timer)
}
