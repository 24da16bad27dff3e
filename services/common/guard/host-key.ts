import { hash, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import { HostKeyRefused } from '../http/problems.ts'
import type { Secret, Secrets } from '../secrets/secrets.ts'

/** Opens a host key that callers must send. Only the digests of its versions are kept. */
export const acceptedHostKey = (secrets: Secrets, name: string) => secrets.open(name, digest)

/** Opens a host key that this process sends with its own calls. */
export const sentHostKey = (secrets: Secrets, name: string) => secrets.open(name, String)

/**
 * Refuses requests without a valid version of the host key in `x-functions-key`.
 *
 * An unknown key may be a version newer than the cached ones: its request waits until they are refreshed.
 */
export const hostKey = fp<{ key: Secret<Buffer> }>(async (app, { key }) => {
  app.addHook('onRequest', (request, _reply, done) => {
    const sent = request.headers['x-functions-key']
    const answer = (isValid?: true) => {
      if (isValid) return done()
      app.refusals.count('host-key', request)
      done(new HostKeyRefused())
    }
    if (typeof sent !== 'string') return answer()
    const found = key.findOrRefresh((digests) => includes(digests, digest(sent)))
    if (found instanceof Promise) found.then(answer, done)
    else answer(found)
  })
}, { name: 'host-key', dependencies: ['allow-list'] })

/** True or undefined, in constant time. */
function includes (digests: Buffer[], sent: Buffer) {
  let isIncluded = false
  for (const digest of digests) isIncluded = timingSafeEqual(digest, sent) || isIncluded
  return isIncluded || undefined
}

function digest (key: string) {
  return hash('sha256', key, 'buffer')
}
