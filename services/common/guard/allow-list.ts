import { isIP, type BlockList } from 'node:net'
import fp from 'fastify-plugin'
import { Type, type Static, type TObject } from 'typebox'
import { parseCidrs } from '../config.ts'
import { CallerRefused } from '../http/problems.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The address of the caller; empty where it is missing or malformed. */
    callerAddress: string
  }
}

export const AllowListSettings = {
  ALLOWED_CALLERS: Type.String({ format: 'cidrs' }),
  CALLER_ADDRESS: Type.Enum(['forwarded', 'peer'], { default: 'forwarded' }),
  /** Proxies whose `X-Forwarded-For` is trusted; by default localhost and the ingress of Container Apps. */
  PROXY_ADDRESSES: Type.String({ format: 'cidrs', default: '127.0.0.0/8,::1/128,100.64.0.0/10' })
}
export type AllowListConfig = Static<TObject<typeof AllowListSettings>>

const MAX_LOGGED = 100

/**
 * Refuses callers whose address is not in ALLOWED_CALLERS, missing or malformed.
 *
 * With `CALLER_ADDRESS=forwarded`, the caller is the last entry of X-Forwarded-For, which the ingress of
 * Container Apps overwrites, and connections from anything but a proxy are refused. With `peer`, it is the
 * peer of the connection.
 */
export const allowList = fp<AllowListConfig>(async (app, config) => {
  const isForwarded = config.CALLER_ADDRESS === 'forwarded'
  const allowed = parseCidrs(config.ALLOWED_CALLERS)
  const proxies = parseCidrs(config.PROXY_ADDRESSES)
  const logged = new Set<string>()
  app.decorateRequest('callerAddress', '')

  app.addHook('onRequest', (request, _reply, done) => {
    const peer = request.socket.remoteAddress ?? ''
    const isBehindProxy = isForwarded && includes(proxies, peer)
    const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',').at(-1)!.trim()
    const address = isBehindProxy ? forwarded : peer
    if (isIP(address)) request.callerAddress = address.replace(/^::ffff:(?=\d+\.)/i, '')
    if (includes(allowed, address) && isBehindProxy === isForwarded) {
      logOnce(request.callerAddress)
      return done()
    }
    app.refusals.count('caller-address', request)
    done(new CallerRefused())
  })

  // Helps operators to set ALLOWED_CALLERS: it depends on the platform which address a service sees
  function logOnce (address: string) {
    if (logged.has(address) || logged.size === MAX_LOGGED) return
    logged.add(address)
    app.log.debug({ address }, 'calls come from this address')
  }
}, { name: 'allow-list', dependencies: ['refusals'] })

function includes (list: BlockList, address: string) {
  const version = isIP(address)
  return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
}
