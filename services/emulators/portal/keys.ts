import type { FastifyRequest } from 'fastify'

/** Subscription keys that pages fill in. */
export interface Keys {
  client: string | undefined
  auditor: string | undefined
}

/** The key of the first subscription of each product, from the secret of the gateway. */
export function keysOf (json: string): Keys {
  const subscriptions = Object.values(JSON.parse(json) as Record<string, { product: string, key: string }>)
  const keyOf = (wanted: string) => subscriptions.find(({ product }) => product === wanted)?.key
  return { client: keyOf('client'), auditor: keyOf('auditor') }
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/

/**
 * Whether keys may be in the response: a person on this machine opens a page. Not to requests over a network,
 * nor to those that scripts of other pages send.
 */
export function mayHaveKeys ({ socket, headers }: FastifyRequest) {
  const { 'sec-fetch-dest': destination = 'document', forwarded, 'x-forwarded-for': client } = headers
  // A proxy on this machine may serve others
  if (forwarded !== undefined || client !== undefined) return false
  return destination === 'document' && LOOPBACK.test(socket.remoteAddress ?? '')
}
