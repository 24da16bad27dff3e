import { hash, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import { HostKeyRefused } from '../http/problems.ts'
import type { Secret, Secrets } from '../secrets/secrets.ts'

/** A host key that callers must show: only digests of its versions are kept. */
export const acceptedHostKey = (secrets: Secrets, name: string) => secrets.open(name, digest)

/** A host key that this process shows where it calls. */
export const sentHostKey = (secrets: Secrets, name: string) => secrets.open(name, String)

/**
 * Lets only requests pass that show a version in force of the host key in `x-functions-key`.
 *
 * A key that is not known may be newer than what is known: its request waits for the next look at the vault.
 */
export const hostKey = fp<{ key: Secret<Buffer> }>(async (app, { key }) => {
  app.addHook('onRequest', (request, _reply, done) => {
    const presented = request.headers['x-functions-key']
    const decide = (isKnown?: true) => {
      if (isKnown) return done()
      app.refusals.count('host-key', request)
      done(new HostKeyRefused())
    }
    const found = typeof presented === 'string' ? key.findOrRefresh((digests) => isAmong(digests, digest(presented))) : undefined
    if (found instanceof Promise) found.then(decide, done)
    else decide(found)
  })
}, { name: 'host-key', dependencies: ['allow-list'] })

/** True or nothing, found in constant time. */
function isAmong (digests: Buffer[], shown: Buffer) {
  let known = false
  for (const one of digests) known = timingSafeEqual(one, shown) || known
  return known || undefined
}

function digest (key: string) {
  return hash('sha256', key, 'buffer')
}
