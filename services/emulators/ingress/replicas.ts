import type { Config } from './config.ts'
import type { Replica } from './replica.ts'

/** No replica was ready in time, or too many requests wait for one. */
export class NoReplica extends Error {
  override name = 'NoReplica'
  readonly reason: 'overflow' | 'absent'

  constructor (reason: 'overflow' | 'absent') {
    super('No replica is ready')
    this.reason = reason
  }
}

/** The replicas of an app, and the requests that wait for one. */
export abstract class Replicas<R extends Replica = Replica> {
  protected replicas: R[] = []
  protected ending = false
  #config: Config
  #waiting = new Set<(replica?: Replica) => void>()

  constructor (config: Config) {
    this.#config = config
  }

  /** A request has come. */
  arrived () {}

  /** A request is over. */
  left () {}

  /** Ends them all. */
  abstract end (): Promise<void>

  /**
   * Waits until a replica is ready, or `signal` is aborted: the one with the fewest requests.
   *
   * @throws {NoReplica}
   */
  async nextReady (signal: AbortSignal): Promise<Replica> {
    return this.#leastBusy() ?? await this.#wait(signal)
  }

  /** Gives requests to none of them any more, nor lets requests wait. */
  retire () {
    this.ending = true
    for (const replica of this.replicas) replica.retire()
    for (const settle of this.#waiting) settle()
  }

  protected remove (replica: R) {
    this.replicas = this.replicas.filter((other) => other !== replica)
  }

  /** Gives the waiting requests to a replica that became ready. */
  protected serveWaiting () {
    for (const settle of this.#waiting) {
      const replica = this.#leastBusy()
      if (!replica) return
      settle(replica)
    }
  }

  #leastBusy () {
    let least: R | undefined
    for (const replica of this.replicas) {
      if (replica.isReady && !(least && least.outstanding <= replica.outstanding)) least = replica
    }
    if (!least) return undefined
    // Last from now on: of those with equally few requests, each has its turn
    this.remove(least)
    this.replicas.push(least)
    return least
  }

  #wait (signal: AbortSignal): Promise<Replica> {
    const { MAX_WAITING, WAIT_SECONDS } = this.#config
    if (this.ending) throw new NoReplica('absent')
    if (this.#waiting.size >= MAX_WAITING) throw new NoReplica('overflow')
    const { promise, resolve, reject } = Promise.withResolvers<Replica>()
    const settle = (replica?: Replica) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abandon)
      this.#waiting.delete(settle)
      if (replica) resolve(replica)
      else reject(new NoReplica('absent'))
    }
    const abandon = () => settle()
    const timer = setTimeout(abandon, WAIT_SECONDS * 1_000)
    signal.addEventListener('abort', abandon)
    this.#waiting.add(settle)
    return promise
  }
}
