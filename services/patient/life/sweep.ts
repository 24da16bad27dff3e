import type { FastifyBaseLogger } from 'fastify'
import type { Move, Transfers } from '../repositories/transfers.ts'
import type { Deletion } from './deletion.ts'
import type { Merges } from './merge.ts'
import type { Moves } from './move.ts'

const HOUR_MS = 60 * 60 * 1_000
const SOON_MS = 5_000

interface SweepParts {
  transfers: Transfers
  moves: Moves
  merges: Merges
  deletion: Deletion
}

/** Finishes what was interrupted: after each start, hourly, and soon after a failure. */
export class Sweep {
  #parts: SweepParts
  #log: FastifyBaseLogger
  #hourly: NodeJS.Timeout
  #soon: NodeJS.Timeout | undefined

  constructor (parts: SweepParts, log: FastifyBaseLogger) {
    this.#parts = parts
    this.#log = log
    this.#hourly = setInterval(() => this.run(), HOUR_MS).unref()
    parts.transfers.onFailure = () => this.#runSoon()
  }

  /** Does not reject. */
  async run () {
    const { deletion } = this.#parts
    // A deletion may have to wait for a move
    await this.#finishTransfers()
      .catch((err) => this.#log.warn({ err }, 'sweep of moves and merges not finished'))
    await deletion.sweep()
      .catch((err) => this.#log.warn({ err }, 'sweep of deleted patients not finished'))
  }

  close () {
    clearInterval(this.#hourly)
    clearTimeout(this.#soon)
  }

  async #finishTransfers () {
    const { transfers, moves, merges } = this.#parts
    for (const transfer of await transfers.open()) {
      try {
        if (transfer.test !== undefined) {
          if (!await moves.resume(transfer as Move)) this.#runSoon()
        } else {
          const { committed, finished } = merges.resume(transfer)
          if (!await committed) this.#runSoon()
          await finished
        }
      } catch (err) {
        this.#log.warn({ err }, 'move or merge not finished, the next sweep repeats it')
      }
    }
  }

  #runSoon () {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      this.run()
    }, SOON_MS).unref()
  }
}
