import { ADDRCONFIG } from 'node:dns'
import { lookup as systemLookup } from 'node:dns/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import createError from '@fastify/error'
import type { buildConnector, Dispatcher } from 'undici'
import { NotedCalls, type CallNames } from '../telemetry/outgoing-calls.ts'
import { telemetryEnabled } from '../telemetry/operation.ts'

/** How long a connection is kept without a call, even where the service offers to keep it for longer. */
export const KEPT_MS = 4_000
const LOOKUP_MS = 1_000
/** How long other addresses are asked before one that failed. */
const FAILED_MS = 1_000
/** How long other addresses are asked before one whose service leaves: by then it has closed, unless it drains for longer. */
const LEAVING_MS = 10_000

const NoAddress = createError('UPSTREAM_NO_ADDRESS', 'The host has no address')
const AddressGone = createError('UPSTREAM_ADDRESS_GONE', 'The host has this address no more')

/** Tells the addresses of a host. */
export type Lookup = (hostname: string) => Promise<string[]>

/** What calls to a service are made with. */
export type Service = Pick<Dispatcher, 'dispatch' | 'close' | 'destroy'>

/** Has connections made to one address of a host. */
export type Via = (connect: buildConnector.connector) => buildConnector.connector

export interface UpstreamOptions {
  /** Keeps connections to the service at `origin`, each made `via` the address that it is for. */
  open: (origin: string, via: Via) => Service
  lookup?: Lookup
  /** How calls are told, where they are. */
  names: CallNames
}

/**
 * Kept connections to the service at `origin`, to each address of its host by `open`.
 *
 * Calls go to the addresses in turn. One that cannot be connected to has its call tried on the others, whatever its
 * method, since nothing was sent. The host is looked up every second; where that fails, its addresses stay as they are.
 */
export function connectTo (origin: string, { open, lookup = lookUp, names }: UpstreamOptions): Service {
  const { hostname } = new URL(origin)
  const service = isIP(hostname.replace(/^\[|\]$/g, '')) ? open(origin, (connect) => connect) : new Upstream(() => lookup(hostname), (via) => open(origin, via))
  return telemetryEnabled() ? new NotedCalls(service, names) : service
}

async function lookUp (hostname: string) {
  // An address of a family that this host has no address of could not be reached
  const found = await systemLookup(hostname, { all: true, hints: ADDRCONFIG })
  return found.map(({ address }) => address)
}

class Upstream implements Service {
  #lookup: () => Promise<string[]>
  #open: (via: Via) => Service
  #addresses: Address[] = []
  /** Those that the host has no more, with calls to finish. */
  #retired = new Set<Address>()
  #turn = -1
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout
  #closed = false

  constructor (lookup: () => Promise<string[]>, open: (via: Via) => Service) {
    this.#lookup = lookup
    this.#open = open
    const look = () => this.#look().catch(() => {})
    this.#timer = setInterval(look, LOOKUP_MS).unref()
    look()
  }

  dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    const call = new Call(this, options, handler)
    if (!this.attempt(call)) this.#afterLook(call)
    return true
  }

  /** Sends `call` to the next address that it has not been sent to, if there is one. */
  attempt (call: Call) {
    const address = this.#next(call)
    if (!address) return false
    call.address = address
    address.service.dispatch(call.options, call)
    return true
  }

  async close () {
    this.#end()
    await Promise.all([...this.#addresses, ...this.#retired].map(({ service }) => service.close()))
  }

  async destroy () {
    this.#end()
    await Promise.all([...this.#addresses, ...this.#retired].map(({ service }) => service.destroy()))
  }

  async #afterLook (call: Call) {
    try {
      await this.#look()
      if (!this.attempt(call)) throw new NoAddress()
    } catch (error) {
      call.onResponseError(null, error as Error)
    }
  }

  #next ({ tried }: Call) {
    const now = performance.now()
    let last: Address | undefined
    for (let i = this.#addresses.length; i > 0; i--) {
      this.#turn = (this.#turn + 1) % this.#addresses.length
      const address = this.#addresses[this.#turn]!
      if (tried.includes(address)) continue
      if (address.mayBeAsked(now)) return address
      last ??= address
    }
    return last
  }

  #look () {
    this.#looking ??= this.#lookup()
      .then((found) => this.#take(new Set(found)))
      .finally(() => { this.#looking = undefined })
    return this.#looking
  }

  #take (found: Set<string>) {
    if (found.size === 0) throw new NoAddress()
    if (this.#closed) return
    const before = this.#addresses
    const known = new Set(before.map(({ ip }) => ip))
    const added = [...found].filter((ip) => !known.has(ip)).map((ip) => new Address(ip, this.#open))
    this.#addresses = [...before.filter(({ ip }) => found.has(ip)), ...added]
    for (const address of before.filter(({ ip }) => !found.has(ip))) {
      this.#retired.add(address)
      address.retire().finally(() => this.#retired.delete(address))
    }
  }

  #end () {
    this.#closed = true
    clearInterval(this.#timer)
  }
}

/** The errors of connections that did not come about. */
const unconnected = new WeakSet<Error>()

class Address {
  readonly ip: string
  readonly service: Service
  #connecting = new Set<buildConnector.Callback>()
  #gone = false
  #failing = false
  #askedLastUntil = 0

  constructor (ip: string, open: (via: Via) => Service) {
    this.ip = ip
    // The origin stays the host's, for the Host header and the certificate
    this.service = open((connect) => (target, callback) => this.#connect(connect, { ...target, hostname: ip }, callback))
  }

  /** Whether it may be asked at `now` while there are others: one that fails may be asked by one call a second. */
  mayBeAsked (now: number) {
    if (now < this.#askedLastUntil) return false
    if (this.#failing) this.#askedLastUntil = now + FAILED_MS
    return true
  }

  failed () {
    this.#failing = true
    this.#askedLastUntil = performance.now() + FAILED_MS
  }

  /** @param leaves whether the service ended the connection, though it had no reason but its own end */
  answered (leaves: boolean) {
    if (!leaves && !this.#failing) return
    this.#failing = false
    this.#askedLastUntil = leaves ? performance.now() + LEAVING_MS : 0
  }

  /** Lets the calls that were sent finish; others have to go elsewhere. */
  retire () {
    this.#gone = true
    for (const settle of [...this.#connecting]) settle(new AddressGone(), null)
    return this.service.close()
  }

  #connect (connect: buildConnector.connector, target: buildConnector.Options, callback: buildConnector.Callback) {
    const settle: buildConnector.Callback = (...[error, socket]) => {
      if (!this.#connecting.delete(settle)) {
        socket?.destroy()
      } else if (error) {
        this.failed()
        unconnected.add(error)
        callback(error, null)
      } else {
        callback(null, socket)
      }
    }
    this.#connecting.add(settle)
    if (this.#gone) setImmediate(settle, new AddressGone(), null)
    else connect(target, settle)
  }
}

class Call implements Dispatcher.DispatchHandler {
  readonly options: Dispatcher.DispatchOptions
  /** Those that it was not sent to after all. */
  readonly tried: Address[] = []
  address!: Address
  #upstream: Upstream
  #handler: Dispatcher.DispatchHandler

  constructor (upstream: Upstream, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    this.#upstream = upstream
    this.options = options
    this.#handler = handler
  }

  onRequestStart (controller: Dispatcher.DispatchController, context: unknown) {
    this.#handler.onRequestStart?.(controller, context)
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, statusMessage?: string) {
    // A body that cannot be read is refused with an end of the connection too
    this.address.answered(headers.connection === 'close' && statusCode < 400)
    this.#handler.onResponseStart?.(controller, statusCode, headers, statusMessage)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer) {
    this.#handler.onResponseData?.(controller, chunk)
  }

  onResponseEnd (controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders) {
    this.#handler.onResponseEnd?.(controller, trailers)
  }

  onResponseError (controller: Dispatcher.DispatchController | null, error: Error) {
    if (unconnected.has(error)) {
      this.tried.push(this.address)
      if (!this.#isAborted() && this.#upstream.attempt(this)) return
    } else if (isBroken(error)) {
      this.address.failed()
    }
    // As undici does itself where there is no connection
    this.#handler.onResponseError?.(controller as Dispatcher.DispatchController, error)
  }

  #isAborted () {
    const { signal } = this.options as Dispatcher.RequestOptions
    return signal instanceof AbortSignal && signal.aborted
  }
}

/** Whether the connection of a call broke: that of a service that died, or one that it closed at that moment. */
export function isBroken ({ code }: NodeJS.ErrnoException) {
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE'
}
