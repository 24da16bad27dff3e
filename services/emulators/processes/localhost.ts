// Preloaded by `node --import`: names that end in .localhost resolve to this machine (RFC 6761, section 6.3).
// glibc does so only with the plug-in of systemd, which containers lack.
import dns, { type LookupOptions } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const { lookup, promises } = dns
const lookupPromise = promises.lookup

// Callers and promisify find on it what they find on the original
const properties = Object.getOwnPropertyDescriptors(lookup)
dns.lookup = Object.defineProperties((host: string, ...rest: unknown[]) =>
  Reflect.apply(lookup, dns, [resolved(host, rest[0]), ...rest]), properties) as typeof lookup
promises.lookup = ((host: string, options?: LookupOptions) =>
  lookupPromise(resolved(host, options), options!)) as typeof lookupPromise
syncBuiltinESMExports()

/** The loopback address, which lookups return as it is, instead of a name that ends in .localhost. */
function resolved (host: string, options: unknown) {
  if (!/\.localhost\.?$/i.test(host)) return host
  const family = typeof options === 'object' ? (options as LookupOptions | null)?.family : options
  return family === 6 || family === 'IPv6' ? '::1' : '127.0.0.1'
}
