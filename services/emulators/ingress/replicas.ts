import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { freePorts } from '../processes/probes.ts'
import type { Config } from './config.ts'
import { Replica } from './replica.ts'

/** How long a replica may take to end when all ends. */
const ENDING_MS = 500
const FIRST_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5_000

/** No replica takes a request in time. */
export class NoReplica extends Error {
  override name = 'NoReplica'
  readonly reason: 'overflow' | 'absent'

  constructor (reason: 'overflow' | 'absent') {
    super('No replica takes the request')
    this.reason = reason
  }
}

interface Waiting {
  settle: (replica?: Replica) => void
}

/** The replicas of an app: none without requests, one at first, more with load. */
export class Replicas {
  #config: Config
  #log: FastifyBaseLogger
  #replicas: Replica[] = []
  /** Those that finish what they have. */
  #leaving = new Map<Replica, Promise<void>>()
  #waiting = new Set<Waiting>()
  #requests = 0
  /** When so many replicas and one were needed last. */
  #neededAt: number[] = []
  #starting: Promise<void> | undefined
  #failures = 0
  #timer: NodeJS.Timeout
  #ending = false

  constructor (config: Config, log: FastifyBaseLogger) {
    this.#config = config
    this.#log = log
    this.#timer = setInterval(() => this.#scaleIn(), Math.min(1_000, config.IDLE_SECONDS * 250)).unref()
  }

  /** A request has come. */
  arrived () {
    this.#requests++
    this.#scaleOut()
  }

  /** One is over. */
  left () {
    this.#noteNeed()
    this.#requests--
  }

  /** The replica that has the fewest requests of those that are ready. */
  ready () {
    let least: Replica | undefined
    for (const replica of this.#replicas) {
      if (replica.isReady && !(least && least.outstanding <= replica.outstanding)) least = replica
    }
    return least
  }

  /**
   * Waits until a replica is ready, or `signal` says that nobody waits.
   *
   * @throws {NoReplica} where none is in time, or too many wait
   */
  nextReady (signal: AbortSignal): Promise<Replica> {
    return new Promise((resolve, reject) => {
      if (this.#ending || this.#waiting.size >= this.#config.MAX_WAITING) return reject(new NoReplica(this.#ending ? 'absent' : 'overflow'))
      const settle = (replica?: Replica) => {
        clearTimeout(timer)
        signal.removeEventListener('abort', abandon)
        this.#waiting.delete(waiting)
        if (replica) resolve(replica)
        else reject(new NoReplica('absent'))
      }
      const abandon = () => settle()
      const waiting = { settle }
      const timer = setTimeout(abandon, this.#config.WAIT_SECONDS * 1_000)
      signal.addEventListener('abort', abandon)
      this.#waiting.add(waiting)
    })
  }

  /** Starts none any more, and lets nobody wait. */
  retire () {
    this.#ending = true
    clearInterval(this.#timer)
    for (const replica of this.#replicas) replica.retire()
    for (const { settle } of this.#waiting) settle()
  }

  /** Ends them all. */
  async end () {
    this.retire()
    await Promise.all([...this.#replicas, ...this.#leaving.keys()].map((replica) => replica.stop(ENDING_MS)))
  }

  /** Answers how many replicas are needed now. */
  #noteNeed () {
    const needed = Math.min(this.#config.MAX_REPLICAS, Math.ceil(this.#requests / this.#config.CONCURRENT_REQUESTS))
    const now = performance.now()
    for (let i = 0; i < needed; i++) this.#neededAt[i] = now
    return needed
  }

  #scaleOut () {
    const needed = this.#noteNeed()
    if (this.#ending || this.#starting || this.#replicas.length >= needed) return
    // One at a time: the first answers the sooner
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined
      this.#scaleOut()
    })
  }

  #scaleIn () {
    this.#scaleOut()
    const since = performance.now() - this.#config.IDLE_SECONDS * 1_000
    while (this.#replicas.length > 0 && this.#neededAt[this.#replicas.length - 1]! < since) {
      const [least] = this.#replicas.toSorted((a, b) => Number(a.isReady) - Number(b.isReady) || a.outstanding - b.outstanding)
      this.#remove(least!)
      this.#log.info({ pid: least!.pid, replicas: this.#replicas.length }, 'a replica is not needed')
      const gone = least!.stop().finally(() => this.#leaving.delete(least!))
      this.#leaving.set(least!, gone)
    }
  }

  async #start () {
    const [port] = await freePorts() as [number]
    if (this.#ending) return
    const replica = new Replica(port, this.#config, () => this.#serveWaiting())
    this.#replicas.push(replica)
    try {
      await replica.start()
      this.#failures = 0
      this.#log.info({ pid: replica.pid, replicas: this.#replicas.length }, 'a replica is ready')
    } catch (err) {
      if (this.#ending) return
      this.#remove(replica)
      this.#log.error({ err }, 'a replica did not start')
      await replica.stop(0)
      await sleep(Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures++, MAX_BACKOFF_MS), undefined, { ref: false })
    }
  }

  #remove (replica: Replica) {
    this.#replicas = this.#replicas.filter((other) => other !== replica)
  }

  #serveWaiting () {
    for (const { settle } of this.#waiting) {
      const replica = this.ready()
      if (!replica) return
      settle(replica)
    }
  }
}
