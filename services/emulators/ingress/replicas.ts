import createError from '@fastify/error'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from './config.ts'
import type { Replica } from './replica.ts'

export const NoReplica = createError('NO_REPLICA', 'No replica is ready')
export const TooManyWaiting = createError('TOO_MANY_WAITING', 'Too many requests are waiting for a replica')

/** The replicas of an app, and the requests that wait for one. */
export abstract class Replicas<R extends Replica = Replica> {
  protected replicas: R[] = []
  protected readonly config: Config
  protected readonly log: FastifyBaseLogger
  #retiring = new AbortController()
  #waiting = new Set<(replica: Replica) => void>()

  constructor (config: Config, log: FastifyBaseLogger) {
    this.config = config
    this.log = log
  }

  protected get isRetired () { return this.#retiring.signal.aborted }

  /** Called when a request arrives. */
  arrived () {}

  /** Called when a request is over. */
  left () {}

  /** Ends all replicas. */
  abstract end (): Promise<void>

  /**
   * Returns the ready replica with the fewest requests, or waits until one is ready or `signal` is aborted.
   *
   * @throws {NoReplica | TooManyWaiting}
   */
  async nextReady (signal: AbortSignal): Promise<Replica> {
    const ready = this.#leastBusy()
    if (ready) return ready
    const { MAX_WAITING, WAIT_SECONDS } = this.config
    if (this.isRetired) throw new NoReplica()
    if (this.#waiting.size >= MAX_WAITING) throw new TooManyWaiting()
    const { promise, resolve, reject } = Promise.withResolvers<Replica>()
    const end = AbortSignal.any([signal, this.#retiring.signal, AbortSignal.timeout(WAIT_SECONDS * 1_000)])
    end.addEventListener('abort', () => reject(new NoReplica()))
    this.#waiting.add(resolve)
    return promise.finally(() => this.#waiting.delete(resolve))
  }

  /** Stops sending requests to the replicas, and fails those that wait. */
  retire () {
    for (const replica of this.replicas) replica.retire()
    this.#retiring.abort()
  }

  protected remove (replica: R) {
    this.replicas = this.replicas.filter((other) => other !== replica)
  }

  /** Gives the waiting requests to a replica that became ready. */
  protected serveWaiting () {
    for (const resolve of this.#waiting) {
      const replica = this.#leastBusy()
      if (!replica) return
      resolve(replica)
    }
  }

  #leastBusy () {
    const ready = this.replicas.filter(({ isReady }) => isReady)
    if (ready.length === 0) return undefined
    const least = ready.reduce((least, replica) => replica.outstanding < least.outstanding ? replica : least)
    // Moved to the end, so that replicas with equally many requests take turns
    this.remove(least)
    this.replicas.push(least)
    return least
  }
}
