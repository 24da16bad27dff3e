import type { ChainDocument } from '#common/transparency/documents.ts'
import { NO_PREVIOUS } from '#common/transparency/commitment.ts'
import { endChain, tailAfter } from '../chain.ts'
import type { LogHead } from './head.ts'
import type { LogStore } from './store.ts'

/** A chain without a new block for this long is ended. Its replica, if it runs still, starts a new one. */
const IDLE_MS = 60 * 60_000

/** Finds chains of which the log does not have everything, and ends those that nobody continues. */
export class Sweeper {
  #store: LogStore
  #head: LogHead

  constructor (store: LogStore, head: LogHead) {
    this.#store = store
    this.#head = head
  }

  /** The chains of which the log may not have everything, oldest first. */
  async find () {
    const announced = await this.#store.openChains()
    const chains = new Set([...announced.map(({ _id }) => _id), ...this.#head.open.keys()])
    return { announced, chains: [...chains].sort() }
  }

  /** @param own chains of this replica */
  async finish (announced: ChainDocument[], own: string[]) {
    const known = new Set<string>()
    for (const { _id } of announced) if (await this.#store.hasChain(_id)) known.add(_id)
    // Chains that the log knows and that are not open now have their end in it
    await this.#head.refresh()
    for (const chain of announced) {
      const isEnded = known.has(chain._id) && !this.#head.open.has(chain._id)
      if (isEnded) await this.#store.setEnded(chain._id)
      else if (!own.includes(chain._id)) await this.#endIdle(chain)
    }
  }

  async #endIdle ({ _id: chain, startedDate }: ChainDocument) {
    const last = await this.#store.lastBlock(chain)
    const isEmpty = last?.end && last.firstSeq === 1
    if (isEmpty) return await this.#store.setEnded(chain)
    const changed = last?.to ?? startedDate
    if (last?.end || Date.now() - changed.getTime() < IDLE_MS) return
    const tail = last ? tailAfter(last) : { chain, nextSeq: 1, previous: NO_PREVIOUS }
    await endChain(this.#store.database, tail)
  }
}
