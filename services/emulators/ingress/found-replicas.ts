import { lookup as lookupHost } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from './config.ts'
import { Replica } from './replica.ts'
import { Replicas } from './replicas.ts'

const LOOKUP_MS = 500
const STARTING_MS = 200

/** Resolves a host name to all of its addresses. */
export type Lookup = (host: string) => Promise<string[]>

const lookupAll: Lookup = async (host) =>
  (await lookupHost(host, { all: true })).map(({ address }) => address)

/** Replicas that run elsewhere: there is one at every address of APP_ADDRESS. */
export class FoundReplicas extends Replicas {
  #lookup: Lookup

  constructor (config: Config, log: FastifyBaseLogger, lookup = lookupAll) {
    super(config, log)
    this.#lookup = lookup
    this.#watch()
  }

  async end () {
    this.retire()
    await Promise.all(this.replicas.map(({ pool }) => pool.destroy()))
  }

  async #watch () {
    const { hostname, port } = new URL(`http://${this.config.APP_ADDRESS}`)
    while (!this.isRetired) {
      // If a lookup fails, the known replicas stay
      const addresses = await this.#lookup(hostname).catch(() => undefined)
      if (addresses && !this.isRetired) this.#update(addresses.map((address) => originOf(address, port)))
      await sleep(LOOKUP_MS, undefined, { ref: false })
    }
  }

  #update (origins: string[]) {
    for (const replica of this.replicas.filter(({ origin }) => !origins.includes(origin))) {
      this.remove(replica)
      replica.retire()
      // Fulfilled once its requests are over
      replica.pool.close().catch(() => {})
      this.log.info({ origin: replica.origin, replicas: this.replicas.length }, 'a replica was removed')
    }
    const known = this.replicas.map(({ origin }) => origin)
    for (const origin of origins.filter((origin) => !known.includes(origin))) this.#add(origin)
  }

  #add (origin: string) {
    const probeMs = this.config.PROBE_SECONDS * 1_000
    const onReady = () => this.serveWaiting()
    const replica = new Replica(origin, { probeMs, startingMs: STARTING_MS, onReady })
    this.replicas.push(replica)
    replica.watch()
    this.log.info({ origin, replicas: this.replicas.length }, 'found a replica')
  }
}

function originOf (address: string, port: string) {
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port || 80}`
}
