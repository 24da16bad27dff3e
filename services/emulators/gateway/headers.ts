import type { IncomingHttpHeaders } from 'node:http'

// RFC 9110, 7.6.1, and those that older peers still send
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization',
  'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'
])

/** The `headers` that are passed on: without those of one connection, nor those called as in `dropped`. */
export function endToEnd (headers: IncomingHttpHeaders, dropped: string[] = []): IncomingHttpHeaders {
  const nominated = headers.connection?.toLowerCase().split(',').map((option) => option.trim()) ?? []
  return Object.fromEntries(Object.entries(headers).filter(([name]) =>
    !HOP_BY_HOP.has(name) && !dropped.includes(name) && !nominated.includes(name)))
}
