import { hash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { HostKeyRefused } from '../http/problems.ts'
import type { Secret, Secrets } from '../secrets/secrets.ts'

/** A version of a host key that callers send. */
interface AcceptedKey {
  digest: Buffer
}

/** The host key of every request, or the one that a request must have. */
export type AcceptedKeys = Secret<AcceptedKey> | ((request: FastifyRequest) => Secret<AcceptedKey>)

/** Opens a host key that callers must send. Only the digests of its versions are kept. */
export const acceptedHostKey = (secrets: Secrets, name: string) => secrets.open(name, acceptedKey)

export const acceptedKey = (key: string): AcceptedKey => ({ digest: digest(key) })

/** Opens a host key that this process sends with its own calls. */
export const sentHostKey = (secrets: Secrets, name: string) => secrets.open(name, String)

/**
 * Refuses requests without a valid version of the host key in `x-functions-key`.
 *
 * An unknown key may be a version newer than the cached ones: its request waits until they are refreshed.
 */
export const hostKey = fp<{ key: AcceptedKeys }>(async (app, { key }) => {
  const keyOf = typeof key === 'function' ? key : () => key
  app.addHook('onRequest', (request, _reply, done) => {
    const sent = request.headers['x-functions-key']
    const answer = (isValid?: true) => {
      if (isValid) return done()
      app.refusals.count('host-key', request)
      done(new HostKeyRefused())
    }
    if (typeof sent !== 'string') return answer()
    const found = keyOf(request).findOrRefresh((keys) => includes(keys, digest(sent)))
    if (found instanceof Promise) found.then(answer, done)
    else answer(found)
  })
}, { name: 'host-key', dependencies: ['allow-list'] })

/** True or undefined, in constant time. */
function includes (keys: AcceptedKey[], sent: Buffer) {
  let isIncluded = false
  for (const { digest } of keys) isIncluded = timingSafeEqual(digest, sent) || isIncluded
  return isIncluded || undefined
}

function digest (key: string) {
  return hash('sha256', key, 'buffer')
}
