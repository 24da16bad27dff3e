import { createHash, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import { HostKeyRefused } from './problems.ts'
import type { Secret, Secrets } from './secrets.ts'
import { within } from './within.ts'

// Whoever shows unknown keys by the thousand must not hold a connection and a request each
const MAX_WAITING = 100
/** Two looks at the vault begin a second apart at least. */
const LOOK_MS = 2_000

/** A host key that callers must show: only digests of its versions are kept. */
export const acceptedKey = (secrets: Secrets, name: string) => secrets.secret(name, digest)

/** A host key that this process shows where it calls. */
export const shownKey = (secrets: Secrets, name: string) => secrets.secret(name, String)

/**
 * Lets only requests pass that show a version in force of the host key in `x-functions-key`.
 *
 * A key that is not known may be newer than what is known: its request waits for the next look at the vault.
 */
export const hostKey = fp<{ key: Secret<Buffer> }>(async (app, { key }) => {
  let waiting = 0

  app.addHook('onRequest', async (request) => {
    const presented = request.headers['x-functions-key']
    if (accepts(key, presented)) return
    if (typeof presented === 'string' && waiting < MAX_WAITING) {
      waiting++
      await within(LOOK_MS, key.look(), () => new HostKeyRefused()).catch(() => {})
      waiting--
      if (accepts(key, presented)) return
    }
    app.refusals.count('host-key', request)
    throw new HostKeyRefused()
  })
}, { name: 'host-key', dependencies: ['allow-list'] })

/** Whether `presented` is a version in force, found in constant time. */
function accepts (key: Secret<Buffer>, presented: unknown) {
  const shown = digest(typeof presented === 'string' ? presented : '')
  let known = false
  for (const { use } of key.inForce()) known = timingSafeEqual(use, shown) || known
  return known
}

function digest (key: string) {
  return createHash('sha256').update(key).digest()
}
