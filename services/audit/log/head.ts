import { Binary } from 'mongodb'
import type { FastifyBaseLogger } from 'fastify'
import { formatCheckpoint, parseCheckpoint } from '#common/transparency/checkpoints.ts'
import { openOf, sizeAfter, type Batch, type StoredCheckpoint } from '#common/transparency/documents.ts'
import { formatNote, NoteError, parseNote, verifiedSignatures } from '#common/transparency/notes.ts'
import { rootOfRange } from '#common/transparency/tree.ts'
import { adoptUnlinked } from './adopt.ts'
import { commitmentsOf } from './batches.ts'
import type { CheckpointStore } from './checkpoint-store.ts'
import { LogDamaged } from './damage.ts'
import type { LogKeys } from './keys.ts'
import { shardOf, type LogStore } from './store.ts'
import { tileNodes, TileTree, type ReadTile } from './tile-tree.ts'

interface HeadOptions {
  origin: string
  store: LogStore
  checkpoints: CheckpointStore
  keys: LogKeys
  log: FastifyBaseLogger
}

const PUBLISHED_BATCHES = 20

/**
 * The end of the log: the last batch and the tree up to it. Stores tiles and signs checkpoints, always for a
 * tree that extends the newest checkpoint.
 */
export class LogHead {
  last: Batch | undefined
  #options: HeadOptions
  #tree: TileTree | undefined
  #readTile: ReadTile

  constructor (options: HeadOptions) {
    this.#options = options
    this.#readTile = (level, index, width) => options.store.readTile(level, index, width)
  }

  /** By chain, the first record that the log does not have; see `Batch`. */
  get open () {
    return openOf(this.last)
  }

  /** Reads the end of the log, unless it is known. It may have become longer. */
  async prepare () {
    if (!this.#tree) await this.refresh()
  }

  forget () {
    this.#tree = undefined
  }

  /** Reads the end of the log, and stores what whoever inserted the last batches did not store. */
  async refresh () {
    const { store, checkpoints } = this.#options
    const newest = await checkpoints.newestCheckpoint()
    let last = await store.lastBatch() ?? undefined
    if (!last) {
      await adoptUnlinked(store)
      last = await store.lastBatch() ?? undefined
    }
    const tree = newest && newest._id > (this.#tree?.size ?? 0) ? await this.#load(newest) : this.#tree
    this.#tree = tree ?? new TileTree()
    this.last = last
    const size = sizeAfter(last)
    if (this.#tree.size > size) throw new LogDamaged('the last batches are missing')
    if (this.#tree.size < size) await this.#replay()
  }

  /** Adds a batch that this replica inserted. */
  async append (batch: Batch, commitments: Buffer[]) {
    for (const commitment of commitments) this.#tree!.append(commitment)
    this.last = batch
    await this.#publish()
  }

  /** Signs the newest checkpoint with versions of the key that were added after it. */
  async renewSignatures () {
    const { checkpoints, keys } = this.#options
    const newest = await checkpoints.newestCheckpoint()
    if (!newest || newest._id !== this.#tree?.size) return
    const lines = await keys.sign(newest.text)
    const added = lines.filter((line) => !newest.signatures.includes(line))
    if (added.length > 0) await checkpoints.addSignatures(newest._id, added)
  }

  /** Adds the batches after the tree from their blocks. */
  async #replay () {
    const { store, log } = this.#options
    const tree = this.#tree!
    log.info({ size: tree.size }, 'adding batches to the tree')
    let unpublished = 0
    for await (const batch of store.batchesFrom(tree.size)) {
      if (batch._id !== tree.size) throw new LogDamaged(`there is no batch at ${tree.size}`)
      for (const span of batch.spans) {
        for (const commitment of await commitmentsOf(store, [], span)) tree.append(commitment)
      }
      this.last = batch
      if (++unpublished % PUBLISHED_BATCHES === 0) await this.#publish()
    }
    await this.#publish()
  }

  async #publish () {
    const { origin, store, checkpoints, keys } = this.#options
    const tree = this.#tree!
    for (const tile of tree.takeTiles()) await store.writeTile(tile)
    const { size } = tree
    const root = await tree.root()
    const text = formatCheckpoint({ origin, size, root })
    const signatures = await keys.sign(text)
    const shard = { _id: size, _shardKey: shardOf(size) }
    const date = new Date()
    const checkpoint = { ...shard, root: new Binary(root), text, signatures, cosignatures: [], date }
    const stored = await checkpoints.insert(checkpoint)
    if (stored && !root.equals(stored.root.value())) {
      throw new LogDamaged(`the records lead to another tree than checkpoint ${size}`)
    }
  }

  /** The tree of a checkpoint, which has to extend the tree that this replica knows. */
  async #load (checkpoint: StoredCheckpoint) {
    const size = checkpoint._id
    const root = await this.#verify(checkpoint)
    const tree = await TileTree.load(size, this.#readTile)
    if (!root.equals(await tree.root())) throw new LogDamaged(`the tiles do not lead to checkpoint ${size}`)
    const known = this.#tree
    if (known) {
      const extended = await rootOfRange(0, known.size, tileNodes(size, this.#readTile))
      if (!extended.equals(await known.root())) {
        throw new LogDamaged(`checkpoint ${size} does not extend the tree of size ${known.size}`)
      }
    }
    return tree
  }

  /** @returns the root that the log has signed */
  async #verify ({ _id, text, signatures }: StoredCheckpoint) {
    const { origin, keys } = this.#options
    try {
      const checkpoint = parseCheckpoint(text)
      const note = parseNote(formatNote(text, signatures))
      const isSigned = verifiedSignatures(note, await keys.verifiers()).length > 0
      if (isSigned && checkpoint.size === _id && checkpoint.origin === origin) return checkpoint.root
    } catch (error) {
      if (!(error instanceof NoteError)) throw error
    }
    throw new LogDamaged(`checkpoint ${_id} is not signed by the log`)
  }
}
