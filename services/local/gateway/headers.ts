// RFC 9110, 7.6.1, and what older peers still send
const HOP_BY_HOP = [
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'proxy-connection',
  'te', 'trailer', 'transfer-encoding', 'upgrade'
]

// What a client must not tell the service
const DELETED = [
  'x-functions-key', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip',
  'baggage', 'x-audit-actor', 'x-audit-client-address', 'x-audit-request-id'
]

// Told anew by the gateway, or meant for it alone
const OWN = ['ocp-apim-subscription-key', 'host', 'expect', 'traceparent', 'tracestate', 'via']

const RESPONSE = new Set(HOP_BY_HOP)
const REQUEST = new Set([...HOP_BY_HOP, ...DELETED, ...OWN])

/** The fields of a client's request that go on to the service. Takes and gives name, value, name, value. */
export function requestFields (raw: string[]) {
  return passOn(raw, REQUEST)
}

/** The fields of a service's answer that go on to the client. */
export function responseFields (raw: string[]) {
  return passOn(raw, RESPONSE)
}

function passOn (raw: string[], dropped: Set<string>): string[] {
  const kept: string[] = []
  const nominated: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (name === 'connection') nominated.push(...raw[i + 1]!.toLowerCase().split(',').map((option) => option.trim()))
    if (!dropped.has(name)) kept.push(name, raw[i + 1]!)
  }
  return nominated.some((name) => kept.includes(name)) ? passOn(kept, new Set(nominated)) : kept
}
