import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../processes/probes.ts'
import { ReplicaProcess } from './process.ts'
import { Replicas } from './replicas.ts'

/** How long a replica may take to end when the ingress itself ends. */
const ENDING_MS = 500
const FIRST_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 5_000

/** Replicas that are started and ended as requests come and go. */
export class ScaledReplicas extends Replicas<ReplicaProcess> {
  /** The replicas that finish their requests and end. */
  #ending = new Map<ReplicaProcess, Promise<void>>()
  #requests = 0
  /** At index n, when more than n replicas were last needed. */
  #neededAt: number[] = []
  #starting: Promise<void> | undefined
  #failures = 0
  #timer = setInterval(() => this.#scaleIn(), Math.min(1_000, this.config.IDLE_SECONDS * 250)).unref()

  override arrived () {
    this.#requests++
    this.#scaleOut()
  }

  override left () {
    this.#updateNeed()
    this.#requests--
  }

  override retire () {
    clearInterval(this.#timer)
    super.retire()
  }

  async end () {
    this.retire()
    await Promise.all([...this.replicas, ...this.#ending.keys()].map((replica) => replica.stop(ENDING_MS)))
  }

  /** Returns how many replicas are needed now. */
  #updateNeed () {
    const { MAX_REPLICAS, CONCURRENT_REQUESTS } = this.config
    const needed = Math.min(MAX_REPLICAS, Math.ceil(this.#requests / CONCURRENT_REQUESTS))
    this.#neededAt.fill(performance.now(), 0, needed)
    while (this.#neededAt.length < needed) this.#neededAt.push(performance.now())
    return needed
  }

  #scaleOut () {
    const needed = this.#updateNeed()
    if (this.isRetired || this.#starting || this.replicas.length >= needed) return
    // One at a time, so that the first is ready sooner
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined
      this.#scaleOut()
    })
  }

  #scaleIn () {
    this.#scaleOut()
    const since = performance.now() - this.config.IDLE_SECONDS * 1_000
    while (this.replicas.length > 0 && this.#neededAt[this.replicas.length - 1]! < since) {
      const [least] = this.replicas.toSorted(byUse)
      this.remove(least!)
      this.log.info({ pid: least!.pid, replicas: this.replicas.length }, 'a replica is no longer needed')
      this.#ending.set(least!, least!.stop().finally(() => this.#ending.delete(least!)))
    }
  }

  async #start () {
    const [port] = await freePorts() as [number]
    if (this.isRetired) return
    const replica = new ReplicaProcess(port, this.config, () => this.serveWaiting())
    this.replicas.push(replica)
    try {
      await replica.start()
      this.#failures = 0
      this.log.info({ pid: replica.pid, replicas: this.replicas.length }, 'a replica is ready')
    } catch (err) {
      if (this.isRetired) return
      this.remove(replica)
      this.log.error({ err }, 'a replica did not start')
      await replica.stop(0)
      const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures++, MAX_BACKOFF_MS)
      await sleep(backoffMs, undefined, { ref: false })
    }
  }
}

/** Orders replicas by use: those that are not ready, then those with the fewest requests. */
function byUse (a: ReplicaProcess, b: ReplicaProcess) {
  return Number(a.isReady) - Number(b.isReady) || a.outstanding - b.outstanding
}
