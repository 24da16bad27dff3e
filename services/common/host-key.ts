import { createHash, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import { HostKeyRefused } from './problems.ts'

export interface HostKeys {
  /** Whether `presented` is a key in force, found in constant time. */
  accepts (presented: unknown): boolean
}

/** Host keys in force, kept as digests only. */
export function hostKeys (keys: string[]): HostKeys {
  const inForce = keys.map(digest)
  return {
    accepts (presented) {
      const shown = digest(typeof presented === 'string' ? presented : '')
      let known = false
      for (const key of inForce) known = timingSafeEqual(key, shown) || known
      return known
    }
  }
}

/** Lets only requests pass that show a host key in `x-functions-key`. */
export const hostKey = fp<{ keys: HostKeys }>(async (app, { keys }) => {
  app.addHook('onRequest', async (request) => {
    if (!keys.accepts(request.headers['x-functions-key'])) throw new HostKeyRefused()
  })
}, { name: 'host-key' })

function digest (key: string) {
  return createHash('sha256').update(key).digest()
}
