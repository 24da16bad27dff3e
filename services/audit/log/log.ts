import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '#common/database.ts'
import type { Secret } from '#common/secrets/secrets.ts'
import type { Signer } from '#common/transparency/notes.ts'
import { consistencyProof, inclusionProof } from '#common/transparency/tree.ts'
import { CheckpointStore } from './checkpoint-store.ts'
import { LogHead } from './head.ts'
import { LogKeys } from './keys.ts'
import { Sequencer } from './sequencer.ts'
import { LogStore } from './store.ts'
import { tileNodes } from './tile-tree.ts'

/** In memory, for a series of proofs. */
const KEPT_TILES = 64

interface LogOptions {
  database: Database
  key: Secret<Signer>
  /** The name of the log in its checkpoints. */
  origin: string
  log: FastifyBaseLogger
  /** Called when this replica has made the log longer. */
  onBatch?: () => void
}

/** The transparency log of the register. */
export class TransparencyLog {
  readonly store: LogStore
  readonly checkpoints: CheckpointStore
  readonly keys: LogKeys
  readonly sequencer: Sequencer

  constructor ({ database, key, origin, log, onBatch }: LogOptions) {
    const store = this.store = new LogStore(database)
    const checkpoints = this.checkpoints = new CheckpointStore(database)
    const keys = this.keys = new LogKeys(key, store, origin, log)
    const head = new LogHead({ origin, store, checkpoints, keys, log })
    this.sequencer = new Sequencer({ store, head, keys, log, onBatch })
  }

  /**
   * The proof that entry `index` is in the tree of `size` entries.
   *
   * @throws {LogDamaged} tiles are missing
   */
  inclusionProof (index: number, size: number) {
    return inclusionProof(index, size, this.#nodes(size))
  }

  /**
   * The same for many entries, one after the other, which read the tiles that they share once.
   *
   * @returns the proof of an entry; rejects with `LogDamaged`
   */
  inclusionProofs (size: number) {
    const nodes = this.#nodes(size, KEPT_TILES)
    return (index: number) => inclusionProof(index, size, nodes)
  }

  /** The proof that the tree of `size` entries extends that of `oldSize`. @throws {LogDamaged} */
  consistencyProof (oldSize: number, size: number) {
    return consistencyProof(oldSize, size, this.#nodes(size))
  }

  /** What the witnesses of the log need of it. */
  get witnessed () {
    const { checkpoints, keys } = this
    return {
      async newestCheckpoint () {
        const newest = await checkpoints.newestCheckpoint()
        return newest && { ...newest, size: newest._id }
      },
      dateAfter: (size: number) => checkpoints.dateAfter(size),
      lastCosigned: (name: string) => checkpoints.lastCosigned(name),
      addCosignatures: (size: number, lines: string[]) => checkpoints.addCosignatures(size, lines),
      consistencyProof: (oldSize: number, size: number) => this.consistencyProof(oldSize, size),
      successions: () => keys.successions()
    }
  }

  #nodes (size: number, kept?: number) {
    return tileNodes(size, (level, index, width) => this.store.readTile(level, index, width), kept)
  }
}
