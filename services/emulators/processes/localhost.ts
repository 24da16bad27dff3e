// Preloaded by `node --import`: lets names that end in .localhost mean this machine, as RFC 6761, section 6.3, asks of
// resolvers. glibc does so only with the plug-in of systemd, which containers lack.
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const LOCALHOST = /\.localhost\.?$/i

type Callback = (error: NodeJS.ErrnoException | null, address?: string | dns.LookupAddress[], family?: number) => void

const { lookup } = dns
const lookupPromise = dns.promises.lookup

// Callers and promisify find on it what they find on the original
dns.lookup = Object.defineProperties(function (host: string, options: dns.LookupOptions | number | Callback, callback?: Callback) {
  if (!LOCALHOST.test(host)) return Reflect.apply(lookup, dns, [host, options, callback].slice(0, arguments.length))
  if (typeof options === 'function') [options, callback] = [{}, options]
  const { address, family } = loopback(options)
  if (typeof options === 'object' && options?.all) process.nextTick(callback!, null, [{ address, family }])
  else process.nextTick(callback!, null, address, family)
}, Object.getOwnPropertyDescriptors(lookup)) as typeof lookup

dns.promises.lookup = async function (host: string, options: dns.LookupOptions | number = {}) {
  if (!LOCALHOST.test(host)) return lookupPromise(host, options as dns.LookupOptions)
  const address = loopback(options)
  return typeof options === 'object' && options.all ? [address] : address
} as typeof lookupPromise

syncBuiltinESMExports()

function loopback (options: dns.LookupOptions | number | undefined) {
  const family = typeof options === 'object' ? options?.family : options
  return family === 6 || family === 'IPv6' ? { address: '::1', family: 6 } : { address: '127.0.0.1', family: 4 }
}
