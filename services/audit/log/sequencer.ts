import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { startDeadline } from '#common/database.ts'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import { runInOperations } from '#common/telemetry/operation.ts'
import type { Batch, Block, Span } from '#common/transparency/documents.ts'
import { gather, nextBatch, type DamagedChain } from './batches.ts'
import { LogDamaged } from './damage.ts'
import type { LogKeys } from './keys.ts'
import type { LogHead } from './head.ts'
import type { LogStore } from './store.ts'
import { Sweeper } from './sweeper.ts'
import { Unsequenced } from './unsequenced.ts'

/** A replica sequences its records at most this often, and sweeps up those of others. */
const INTERVAL_MS = 1_000
const SWEEP_MS = 60_000
/** Records that arrive together enter the log together. */
const GATHERING_MS = 20
/** After another replica was first: time for it to store its checkpoint, from which this one continues. */
const LOST_MS = 50
/** Of the time between SIGTERM and the end of the process. */
const CLOSING_MS = 5_000

interface SequencerOptions {
  store: LogStore
  head: LogHead
  keys: LogKeys
  log: FastifyBaseLogger
  onBatch?: () => void
}

/**
 * Gives every record its place in the log.
 *
 * The log is the sequence of batches. Whoever inserts the next one, under the size of the log as its id, gave
 * its records their places; everything else follows from the batches and can be made by any replica. A
 * replica sequences what it stored. What others left behind is swept up at the start and each minute.
 */
export class Sequencer {
  #options: SequencerOptions
  #unsequenced = new Unsequenced()
  #sweeper: Sweeper
  /** Chains of which only the end is missing, by the number that it has; it enters with a later batch. */
  #ends = new Map<string, number>()
  /** Chains of which the last sweep, or a sequencing since, found a block missing. */
  #damaged = new Set<string>()
  #running: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #lastStart = -Infinity
  #closed = false

  constructor (options: SequencerOptions) {
    this.#options = options
    this.#sweeper = new Sweeper(options.store, options.head)
  }

  /** Starts to sweep, once the database answers and the key is known. */
  async start () {
    const { store, keys } = this.#options
    await Promise.all([store.database.connected, keys.loaded])
    this.#sweepRegularly()
  }

  /** Notes a block that this replica stored. */
  stored (block: Block, commitments: Buffer[]) {
    this.#unsequenced.add(block, commitments)
    this.#schedule()
  }

  /** Sequences what the log does not have, of all chains. @throws {DatabaseUnavailable | LogDamaged} */
  sweep () {
    return this.#exclusively(() => this.#sweep())
  }

  /** Sequences what this replica stored, for at most 5 s. */
  async close () {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#sweepTimer)
    const deadline = performance.now() + CLOSING_MS
    const work = () => this.#exclusively(() => this.#sequence(this.#unsequenced.chains, true))
    const timeout = sleep(CLOSING_MS, undefined, { ref: false })
    await Promise.race([startDeadline.run(deadline, work), timeout]).catch((err) => {
      this.#options.log.warn({ err }, 'records are not in the log yet; another replica adds them')
    })
  }

  #schedule (delay = GATHERING_MS) {
    if (this.#timer || this.#closed) return
    const wait = Math.max(delay, this.#lastStart + INTERVAL_MS - performance.now())
    // It belongs to no request
    this.#timer = runInOperations([], () => setTimeout(() => this.#sequenceOwn(), wait).unref())
  }

  async #sequenceOwn () {
    const { oldest } = this.#unsequenced
    this.#lastStart = performance.now()
    recordMetric('audit.unsequenced_age', (this.#lastStart - (oldest ?? this.#lastStart)) / 1_000)
    let delay: number | undefined
    try {
      await this.#exclusively(() => this.#sequence(this.#unsequenced.chains))
    } catch (error) {
      delay = this.#report(error)
    }
    this.#timer = undefined
    if (this.#unsequenced.chains.length > 0) this.#schedule(delay)
  }

  async #sweepRegularly () {
    await this.sweep().catch((error) => this.#report(error))
    if (this.#closed) return
    this.#sweepTimer = setTimeout(() => this.#sweepRegularly(), SWEEP_MS).unref()
  }

  async #sweep () {
    await this.#options.head.refresh()
    const { chains, announced } = await this.#sweeper.find()
    this.#damaged = await this.#sequence(chains, true)
    recordMetric('audit.log.damaged_chains', this.#damaged.size)
    await this.#sweeper.finish(announced, this.#unsequenced.chains)
    await this.#options.head.renewSignatures()
  }

  /**
   * @param complete also what of these chains this replica did not store, or does not remember
   * @returns the chains of which a block is missing
   */
  async #sequence (chains: string[], complete = false) {
    const { head, store } = this.#options
    const damaged = new Set<string>()
    await head.prepare()
    for (let rest = chains; rest.length > 0;) {
      const { last } = head
      const parts = await gather(store, head.open, rest, this.#unsequenced, complete)
      for (const { chain, from, to, end } of parts.spans) if (end && to < from) this.#ends.set(chain, from)
      for (const one of parts.damaged) {
        damaged.add(one.chain)
        await this.#abandon(one)
      }
      rest = rest.filter((chain) => !damaged.has(chain))
      if (parts.withoutNext.length > 0) {
        const ended = await this.#endedOf(parts.withoutNext)
        rest = rest.filter((chain) => !ended.includes(chain))
        // It was not up to date
        if (head.last !== last) continue
      }
      if (parts.commitments.length === 0) break
      const batch = nextBatch(last, [...parts.spans, ...this.#laterEnds(parts.spans)])
      if (!await store.insertBatch(batch)) {
        await this.#lost()
      } else {
        await this.#inserted(batch, parts.commitments)
        if (parts.isComplete) break
      }
    }
    return damaged
  }

  /**
   * The log has nothing of a chain after a gap, since nobody knows what was there. The other chains go on.
   */
  async #abandon ({ chain, block }: DamagedChain) {
    if (!this.#damaged.has(chain)) {
      this.#options.log.error({ chain, block }, 'a block is missing: nothing after it is added to the log')
      this.#damaged.add(chain)
    }
    await this.#sweeper.end(chain)
    this.#unsequenced.remove(chain, Infinity)
  }

  /** The chains among `chains`, which the log knows, that it has to their end. */
  async #endedOf (chains: string[]) {
    const { head } = this.#options
    await head.refresh()
    const ended = chains.filter((chain) => !head.open.has(chain))
    for (const chain of ended) this.#unsequenced.remove(chain, Infinity)
    return ended
  }

  /** The ends that wait for a batch with records. */
  #laterEnds (spans: Span[]) {
    const { open } = this.#options.head
    const taken = new Set(spans.map(({ chain }) => chain))
    const ends: Span[] = []
    for (const [chain, next] of this.#ends) {
      if (open.get(chain) !== next) this.#ends.delete(chain)
      else if (!taken.has(chain)) ends.push({ chain, from: next, to: next - 1, end: true })
    }
    return ends
  }

  async #inserted (batch: Batch, commitments: Buffer[]) {
    await this.#options.head.append(batch, commitments)
    this.#options.onBatch?.()
    recordMetric('audit.log.batch_size', batch.count)
    const { oldest } = this.#unsequenced
    for (const { chain, to } of batch.spans) this.#unsequenced.remove(chain, to + 1)
    if (oldest !== undefined) recordMetric('audit.log.wait', performance.now() - oldest)
  }

  /** Another replica, or this one without an answer, inserted a batch. */
  async #lost () {
    await sleep(LOST_MS * (0.5 + Math.random()))
    await this.#options.head.refresh()
    for (const [chain, next] of this.#options.head.open) this.#unsequenced.remove(chain, next)
  }

  /** One after the other. A failure may leave a tree that is not stored, so the next one reads it again. */
  async #exclusively (work: () => Promise<unknown>): Promise<void> {
    const done = this.#running.then(work).catch((error) => {
      this.#options.head.forget()
      throw error
    })
    this.#running = done.then(() => {}, () => {})
    await done
  }

  /** @returns when to try again, in ms */
  #report (err: unknown) {
    const { log } = this.#options
    if (err instanceof DatabaseUnavailable) {
      log.warn({ err }, 'records are not in the log yet: the database is unavailable')
      return INTERVAL_MS
    }
    const reason = err instanceof LogDamaged ? err.message : undefined
    log.error({ err, reason }, 'records cannot be added to the log')
    return SWEEP_MS
  }
}
