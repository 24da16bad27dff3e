import { BlockList, isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Type, type Static } from 'typebox'
import { CallerRefused } from './problems.ts'

export const AllowListSettings = {
  ALLOWED_CALLERS: Type.String({ format: 'cidrs' }),
  CALLER_ADDRESS: Type.Enum(['forwarded', 'peer'], { default: 'forwarded' })
}

/**
 * Lets only callers pass whose address lies in one of `cidrs`.
 *
 * Behind the ingress of Container Apps, which overwrites X-Forwarded-For, the caller is that header's last
 * entry (`forwarded`); without a proxy it is the peer of the connection (`peer`). Where the address is
 * missing or unreadable, the call is refused.
 */
export const allowList = fp<{ cidrs: string, callerAddress: Static<typeof AllowListSettings.CALLER_ADDRESS> }>(async (app, { cidrs, callerAddress }) => {
  const allowed = blockList(cidrs)
  const addressOf = callerAddress === 'forwarded' ? forwardedAddress : peerAddress

  app.addHook('onRequest', async (request) => {
    const address = addressOf(request)
    const version = isIP(address)
    if (version !== 0 && allowed.check(address, version === 4 ? 'ipv4' : 'ipv6')) return
    request.log.warn({ address: version === 0 ? undefined : address }, 'caller refused by its address')
    throw new CallerRefused()
  })
}, { name: 'allow-list' })

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

function peerAddress ({ socket }: FastifyRequest) {
  return socket.remoteAddress ?? ''
}
