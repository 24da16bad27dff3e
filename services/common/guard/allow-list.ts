import { BlockList, isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Type, type Static, type TObject } from 'typebox'
import { CallerRefused } from '../http/problems.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose call it is; empty where that cannot be told. */
    callerAddress: string
  }
}

export const AllowListSettings = {
  ALLOWED_CALLERS: Type.String({ format: 'cidrs' }),
  CALLER_ADDRESS: Type.Enum(['forwarded', 'peer'], { default: 'forwarded' }),
  /** From where `forwarded` is believed: this machine, and the shared address space (RFC 6598) that Container Apps' ingress has. */
  PROXY_ADDRESSES: Type.String({ format: 'cidrs', default: '127.0.0.0/8,::1/128,100.64.0.0/10' })
}

const MOST_TOLD = 100
const MOST_REMEMBERED = 100

export type AllowListConfig = Static<TObject<typeof AllowListSettings>>

/**
 * Lets only callers pass whose address lies in ALLOWED_CALLERS.
 *
 * Behind the ingress of Container Apps, which overwrites X-Forwarded-For, the caller is that header's last
 * entry (`forwarded`), believed only where the connection comes from a proxy; without a proxy it is the peer of
 * the connection (`peer`). Where the address is missing or unreadable, the call is refused.
 */
export const allowList = fp<AllowListConfig>(async (app, { ALLOWED_CALLERS, CALLER_ADDRESS, PROXY_ADDRESSES }) => {
  const isAllowed = membership(ALLOWED_CALLERS)
  const isProxy = membership(PROXY_ADDRESSES)
  const told = new Set<string>()
  app.decorateRequest('callerAddress', '')

  app.addHook('onRequest', (request, _reply, done) => {
    const peer = request.socket.remoteAddress ?? ''
    const address = CALLER_ADDRESS === 'forwarded' && isProxy(peer) ? forwardedAddress(request) : peer
    if (isIP(address)) request.callerAddress = address.replace(/^::ffff:(?=\d+\.)/i, '')
    // Beside the ingress nobody has a business, whatever address it comes from
    if (isAllowed(address) && (CALLER_ADDRESS === 'peer' || isProxy(peer))) {
      tellOnce(request.callerAddress)
      return done()
    }
    app.refusals.count('caller-address', request)
    done(new CallerRefused())
  })

  // Whoever sets up a list has to know what a platform shows
  function tellOnce (address: string) {
    if (told.has(address) || told.size === MOST_TOLD) return
    told.add(address)
    app.log.debug({ address }, 'calls come from this address')
  }
}, { name: 'allow-list', dependencies: ['refusals'] })

/** Tells whether an address is in `cidrs`. Those of the few who call are remembered: a look into the list takes longer than all else here. */
function membership (cidrs: string) {
  const list = blockList(cidrs)
  const remembered = new Map<string, boolean>()
  return (address: string) => {
    const known = remembered.get(address)
    if (known !== undefined) return known
    const version = isIP(address)
    if (version === 0) return false
    const isMember = list.check(address, version === 4 ? 'ipv4' : 'ipv6')
    if (remembered.size === MOST_REMEMBERED) remembered.clear()
    remembered.set(address, isMember)
    return isMember
  }
}

function blockList (cidrs: string) {
  const list = new BlockList()
  for (const cidr of cidrs.split(',')) {
    const [address, prefix] = cidr.trim().split('/') as [string, string]
    list.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

function forwardedAddress ({ headers }: FastifyRequest) {
  return String(headers['x-forwarded-for'] ?? '').split(',').at(-1)!.trim()
}
