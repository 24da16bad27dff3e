import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkFault } from './schedule.ts'

type Direction = 'requests' | 'answers'

interface Connection {
  client: Socket
  upstream: Socket
  /** Spared by faults that affect half of the connections. */
  spared: boolean
}

type ActiveFault = LinkFault & { over: Promise<void>, end: () => void }

/** A TCP proxy between two processes, which can be cut, slowed, and half-open. */
export class Link {
  #host: string
  #port: number
  #server: Server
  #connections = new Set<Connection>()
  #count = 0
  #fault: ActiveFault | undefined

  /** @param address host and port of the server at the end of the link */
  constructor (address: string) {
    const [host, port] = address.split(':') as [string, string]
    this.#host = host
    this.#port = Number(port)
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client))
  }

  /** Fulfilled with the address of the proxy. */
  async listen () {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Begins a fault, in place of an earlier one. Returns how to end it, unless another one has begun. */
  fail (fault: LinkFault) {
    this.heal()
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const active = this.#fault = { ...fault, over, end }
    if (fault.kind === 'cut') this.#breakAffected()
    return () => { if (this.#fault === active) this.heal() }
  }

  /** Ends the fault. What it held back is delivered now, unless it is lost. */
  heal () {
    const fault = this.#fault
    if (fault?.kind === 'half-open' && !fault.late) this.#breakAffected()
    this.#fault = undefined
    fault?.end()
  }

  close () {
    this.heal()
    this.#server.close()
    for (const connection of this.#connections) destroy(connection)
  }

  #breakAffected () {
    for (const connection of this.#connections) if (!this.#isSpared(connection)) destroy(connection)
  }

  #accept (client: Socket) {
    const spared = this.#count++ % 2 === 0
    const fault = this.#fault
    if (fault?.kind === 'cut' && !(fault.half && spared)) return client.on('error', () => {}).destroy()
    const upstream = connect({ host: this.#host, port: this.#port, noDelay: true })
    const connection = { client, upstream, spared }
    this.#connections.add(connection)
    this.#forward(connection, client, upstream, 'requests')
    this.#forward(connection, upstream, client, 'answers')
  }

  /** Passes on what `from` receives, and its end, in order and as the fault of the moment lets it. */
  #forward (connection: Connection, from: Socket, to: Socket, direction: Direction) {
    let passing = Promise.resolve()
    const pass = (action: () => void) => {
      passing = passing.then(() => this.#delay(connection, direction)).then(action)
    }
    from.on('data', (chunk) => pass(() => { to.write(chunk) }))
    from.on('end', () => pass(() => { to.end() }))
    from.on('error', () => {})
    from.on('close', () => pass(() => {
      to.destroy()
      if (from.destroyed) this.#connections.delete(connection)
    }))
  }

  async #delay (connection: Connection, direction: Direction) {
    const fault = this.#fault
    if (!fault || this.#isSpared(connection)) return
    if (fault.kind === 'slow') await Promise.race([sleep(fault.delay), fault.over])
    if (fault.kind !== 'half-open' || !['both', direction].includes(fault.direction)) return
    await fault.over
  }

  #isSpared ({ spared }: Connection) {
    return Boolean(this.#fault?.half) && spared
  }
}

function destroy ({ client, upstream }: Connection) {
  client.destroy()
  upstream.destroy()
}
