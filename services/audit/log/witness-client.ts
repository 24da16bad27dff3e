import type { FastifyBaseLogger } from 'fastify'
import type { Pool } from 'undici'
import { openPool } from '#common/http/pool.ts'
import { parseSize } from '#common/transparency/checkpoints.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import {
  formatNote, NoteError, parseNote, verifiedSignatures, type VerifierKey
} from '#common/transparency/notes.ts'
import { isCosignedBy, type SignedCheckpoint, type WitnessedLog, type WitnessSettings } from './witnesses.ts'

const CALL_MS = 10_000
const MAX_RESPONSE_BYTES = 16_384
/** The first attempt, one with the size that the witness has, and one after it knows new keys. */
const MAX_ATTEMPTS = 3

/** Why a witness did not cosign a checkpoint; contains nothing of its response but the status. */
export class WitnessError extends Error {
  override name = 'WitnessError'
}

/** Submits checkpoints to one witness (https://c2sp.org/tlog-witness). */
export class WitnessClient {
  readonly name: string
  /** The size of the largest tree that the witness cosigned, as far as is known. */
  cosignedSize: number | undefined
  #keys: VerifierKey[]
  #path: string
  #pool: Pool
  #log: WitnessedLog
  #logger: FastifyBaseLogger

  constructor ({ url, keys }: WitnessSettings, log: WitnessedLog, logger: FastifyBaseLogger) {
    const { origin, pathname } = new URL(url)
    this.name = keys[0]!.name
    this.#keys = keys
    this.#path = pathname === '/' ? '' : pathname
    this.#pool = openPool(origin, { target: 'witness', route: (path) => path.slice(this.#path.length) }, {
      connections: 1,
      connect: { timeout: CALL_MS },
      headersTimeout: CALL_MS,
      bodyTimeout: CALL_MS,
      maxResponseSize: MAX_RESPONSE_BYTES
    })
    this.#log = log
    this.#logger = logger
  }

  /**
   * Has the newest checkpoint cosigned, unless it is already, and stores the cosignatures.
   *
   * @returns false if the witness has a larger tree than the log
   * @throws {WitnessError} the witness does not cosign it
   */
  async submitNewest () {
    this.cosignedSize ??= await this.#log.lastCosigned(this.name)
    const checkpoint = await this.#log.newestCheckpoint()
    if (!checkpoint) return true
    if (isCosignedBy(checkpoint, this.#keys)) {
      this.cosignedSize = checkpoint.size
      return true
    }
    const lines = await this.#cosign(checkpoint)
    if (!lines) return false
    await this.#log.addCosignatures(checkpoint.size, lines)
    this.cosignedSize = checkpoint.size
    return true
  }

  close () {
    return this.#pool.destroy()
  }

  async #cosign (checkpoint: SignedCheckpoint): Promise<string[] | undefined> {
    let oldSize = this.cosignedSize!
    for (let attempt = 1; ; attempt++) {
      if (oldSize > checkpoint.size) return this.#reportLarger(checkpoint, oldSize)
      const submission = await this.#submission(checkpoint, oldSize)
      const { status, body } = await this.#post('/add-checkpoint', submission)
      if (status === 200) return this.#verified(checkpoint, body)
      if (status === 422) throw this.#inconsistent('the witness does not accept the proof')
      if (attempt === MAX_ATTEMPTS) throw new WitnessError(`the witness answers ${status}`)
      if (status === 409) oldSize = this.#sizeOf(body, oldSize)
      else if (status === 403) await this.#sendKeys()
      else throw new WitnessError(`the witness answers ${status}`)
    }
  }

  async #submission ({ size, text, signatures }: SignedCheckpoint, oldSize: number) {
    const hashes = await this.#log.consistencyProof(oldSize, size)
    const lines = [`old ${oldSize}`, ...hashes.map((hash) => hash.toString('base64'))]
    return `${lines.join('\n')}\n\n${formatNote(text, signatures)}`
  }

  /** The lines of the known keys in a response. */
  #verified ({ text }: SignedCheckpoint, body: string) {
    const note = parse(() => parseNote(`${text}\n${body}`))
    const signatures = note.text === text ? parse(() => verifiedSignatures(note, this.#keys)) : []
    if (signatures.length === 0) throw new WitnessError('the witness signs with other keys than its own')
    return signatures.map(({ line }) => line)
  }

  #sizeOf (body: string, oldSize: number) {
    const size = parse(() => parseSize(body.trimEnd()))
    // It has a tree of this size, with another root
    if (size === oldSize) throw this.#inconsistent('the witness has another tree of the log')
    return size
  }

  #inconsistent (message: string) {
    recordMetric('witness.inconsistent', 1)
    this.#logger.error({ witness: this.name, cosigned: this.cosignedSize }, message)
    return new WitnessError(message)
  }

  /** Another replica may have submitted a newer checkpoint. A log that was set back stays behind. */
  #reportLarger ({ size }: SignedCheckpoint, cosigned: number) {
    this.#logger.warn({ witness: this.name, size, cosigned }, 'the witness has a larger tree than the log')
    return undefined
  }

  async #sendKeys () {
    for (const note of await this.#log.successions()) {
      const { status } = await this.#post('/add-key', note)
      if (status !== 200) throw new WitnessError(`the witness answers ${status} to a key of the log`)
    }
  }

  async #post (path: string, body: string) {
    const response = await this.#pool.request({
      method: 'POST',
      path: `${this.#path}${path}`,
      headers: { 'content-type': 'text/plain' },
      body,
      signal: AbortSignal.timeout(CALL_MS)
    })
    return { status: response.statusCode, body: await response.body.text() }
  }
}

function parse<T> (work: () => T) {
  try {
    return work()
  } catch (error) {
    if (error instanceof NoteError) throw new WitnessError('the witness answers in another format')
    throw error
  }
}
