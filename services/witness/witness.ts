import type { FastifyBaseLogger } from 'fastify'
import { parseCheckpoint, type Checkpoint } from '#common/transparency/checkpoints.ts'
import {
  formatNote, NoteError, parseNote, parseVerifierKey, verifiedSignatures, type Note, type Signer,
  type VerifierKey
} from '#common/transparency/notes.ts'
import { EMPTY_ROOT, isConsistent } from '#common/transparency/tree.ts'
import { KeysUnavailable } from '#common/http/problems.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import {
  InconsistentCheckpoint, KeptAnother, NothingStored, SizeConflict, StateChanged, TooManyKeys, UnknownLog,
  UntrustedSignature
} from './errors.ts'
import { type LogState, type Store } from './stores/store.ts'
import { parseSubmission, parseSuccession, type Submission } from './submission.ts'

/** As many versions of a secret are valid at most: a key with so many successors is no longer trusted. */
const TRUSTED_KEYS = 3
const MAX_KEYS = 1_000

interface WitnessOptions {
  store: Store
  /** The keys of each log that are trusted at first, the oldest first. */
  logs: VerifierKey[]
  /** The largest tree with which a log may begin of which nothing is stored. */
  firstSize: number
  /** The valid keys of the witness, newest first. */
  cosigners: () => Signer[]
  log: FastifyBaseLogger
}

/**
 * Cosigns the checkpoints of logs, each of which has to extend the one before.
 *
 * The state of a log changes in one conditional step of the store, before the cosignature is made: of several
 * requests and replicas at a time one succeeds. The checkpoint is kept before it is cosigned, too.
 */
export class Witness {
  #options: WitnessOptions
  /** The size of the last checkpoint of each log that is known to be kept. */
  #kept = new Map<string, number>()

  constructor (options: WitnessOptions) {
    this.#options = options
  }

  /** The public keys of the witness. */
  get vkeys () {
    return this.#options.cosigners().map(({ vkey }) => vkey)
  }

  /**
   * @param body of POST /add-checkpoint
   * @returns the cosignatures, a line each
   * @throws {SizeConflict} the old size is not that of the latest checkpoint, or the tree is another one
   * @throws {InvalidSubmission | UnknownLog | UntrustedSignature | InconsistentCheckpoint | StoreUnavailable}
   * @throws {NothingStored} the log may have been witnessed before
   */
  async addCheckpoint (body: string) {
    // A cosignature says that at this time no larger tree was known, which may change from here on
    const seconds = Math.floor(Date.now() / 1_000)
    const submission = parseSubmission(body)
    const { state, version } = await this.#read(submission.checkpoint.origin)
    const checkpoint = signedByLog(submission.note, state)
    this.#checkConsistency(submission, state, checkpoint)
    if (state.checkpoint === '') this.#begin(submission.checkpoint)
    const cosigners = this.#options.cosigners()
    if (cosigners.length === 0) throw new KeysUnavailable()
    await this.#keep(state)
    if (submission.checkpoint.size > state.size) {
      const { size, root } = submission.checkpoint
      const next = { ...state, size, root: root.toString('base64'), checkpoint }
      if (!await this.#options.store.replace(next, version)) {
        throw new SizeConflict((await this.#read(state.origin)).state.size)
      }
      await this.#keep(next)
    }
    recordMetric('witness.cosigned', 1)
    return cosigners.map((cosigner) => `${cosigner.sign(submission.note.text, seconds)}\n`).join('')
  }

  /**
   * Trusts a further key of a log, which a trusted one signed. A key that is known already changes nothing.
   *
   * @param body of POST /add-key: the note
   * @returns the trusted keys of the log, a line each
   * @throws {InvalidSubmission | UnknownLog | UntrustedSignature | TooManyKeys}
   * @throws {StoreUnavailable | StateChanged}
   */
  async addKey (body: string) {
    const { origin, key, note } = parseSuccession(body)
    const { state, version } = await this.#read(origin)
    if (state.keys.includes(key.vkey)) return linesOf(trusted(state))
    signedByLog(note, state)
    if (state.keys.length >= MAX_KEYS) throw new TooManyKeys()
    const next = { ...state, keys: [...state.keys, key.vkey] }
    if (!await this.#options.store.replace(next, version)) throw new StateChanged()
    this.#options.log.info({ origin, key: key.vkey }, 'the log has a new key')
    return linesOf(trusted(next))
  }

  /** The state of a known log, with the keys of the settings that it does not have yet. */
  async #read (origin: string) {
    const keys = this.#options.logs.filter(({ name }) => name === origin).map(({ vkey }) => vkey)
    if (keys.length === 0) throw new UnknownLog()
    const { state, version } = await this.#options.store.read(origin) ?? {}
    const empty = { origin, size: 0, root: EMPTY_ROOT.toString('base64'), checkpoint: '', keys: [] }
    const { keys: stored, ...rest } = state ?? empty
    return { state: { ...rest, keys: [...new Set([...stored, ...keys])] } satisfies LogState, version }
  }

  #checkConsistency ({ oldSize, proof, checkpoint }: Submission, state: LogState, note: string) {
    if (oldSize !== state.size) throw new SizeConflict(state.size)
    const old = { size: state.size, root: Buffer.from(state.root, 'base64') }
    if (isConsistent(old, checkpoint, proof)) return
    // Signed by the log: where the proof is complete, it shows that the log has two histories
    const evidence = { checkpoint: note, cosigned: state.checkpoint }
    this.#options.log.error(evidence, 'the log does not extend its tree')
    recordMetric('witness.inconsistent', 1)
    const isOther = checkpoint.size === old.size && !old.root.equals(checkpoint.root)
    throw isOther ? new SizeConflict(state.size) : new InconsistentCheckpoint()
  }

  /** The first checkpoint of a log: there is nothing that it would have to extend. */
  #begin ({ origin, size }: Checkpoint) {
    const { firstSize, log } = this.#options
    recordMetric('witness.began', 1)
    if (size <= firstSize) {
      return log.warn({ origin, size }, 'nothing is stored of this log, accepting its first checkpoint')
    }
    const message = 'nothing is stored of this log, whose tree is larger than FIRST_SIZE'
    log.error({ origin, size, firstSize }, message)
    throw new NothingStored()
  }

  /** Keeps the checkpoint of the state; a crash may have prevented that. */
  async #keep (state: LogState) {
    const { origin, size, root, checkpoint } = state
    if (checkpoint === '' || this.#kept.get(origin) === size) return
    const kept = parseCheckpoint(parseNote(await this.#options.store.keep(state)).text)
    if (kept.root.toString('base64') !== root) {
      this.#options.log.error({ checkpoint }, 'another checkpoint of this size was cosigned before')
      recordMetric('witness.inconsistent', 1)
      throw new KeptAnother()
    }
    this.#kept.set(origin, size)
  }
}

/**
 * The note with the signatures of the log's trusted keys alone.
 *
 * @throws {UntrustedSignature}
 */
function signedByLog (note: Note, state: LogState) {
  try {
    const signatures = verifiedSignatures(note, trusted(state).map(parseVerifierKey))
    if (signatures.length > 0) return formatNote(note.text, [...new Set(signatures.map(({ line }) => line))])
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
  }
  throw new UntrustedSignature()
}

const trusted = ({ keys }: LogState) => keys.slice(-TRUSTED_KEYS)

const linesOf = (keys: string[]) => keys.map((key) => `${key}\n`).join('')
