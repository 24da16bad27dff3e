import type { FastifyBaseLogger } from 'fastify'
import { SettingsError } from '#common/config.ts'
import { NoteError, parseSignature, parseVerifierKey, type VerifierKey } from '#common/transparency/notes.ts'
import { recordMetric } from '#common/telemetry/metrics.ts'
import { WitnessClient } from './witness-client.ts'

/** The part of a log that its witnesses need. */
export interface WitnessedLog {
  newestCheckpoint (): Promise<SignedCheckpoint | undefined>
  /** The date of the oldest checkpoint larger than `size`. */
  dateAfter (size: number): Promise<Date | undefined>
  /** The size of the newest checkpoint that `name` cosigned; 0 without one. */
  lastCosigned (name: string): Promise<number>
  consistencyProof (oldSize: number, size: number): Promise<Buffer[]>
  /** Adds lines to those of the checkpoint of `size`; lines that it has already are not added. */
  addCosignatures (size: number, lines: string[]): Promise<void>
  /** The notes that hand over to each key of the log but the first, in their order. */
  successions (): Promise<string[]>
}

export interface SignedCheckpoint {
  size: number
  /** The text of the note. */
  text: string
  signatures: string[]
  cosignatures: string[]
}

export interface WitnessSettings {
  /** The prefix of its requests, without a slash at the end. */
  url: string
  /** The versions of its key. */
  keys: VerifierKey[]
}

const INTERVAL_MS = 5_000
const MAX_INTERVAL_MS = 30_000

/**
 * Parses the setting WITNESSES: pairs of a public key and a URL, separated by white space. A witness whose
 * key is rotated is named twice, with both keys.
 *
 * @throws {SettingsError}
 */
export function parseWitnesses (setting: string): WitnessSettings[] {
  const words = setting.match(/\S+/g) ?? []
  const witnesses = new Map<string, VerifierKey[]>()
  for (let i = 0; i < words.length; i += 2) {
    const key = parseKey(words[i]!)
    const url = words[i + 1]?.replace(/\/$/, '') ?? ''
    if (!key || !/^https?:\/\/[^\s@?#]+$/.test(url) || !URL.canParse(url)) {
      throw new SettingsError('Settings: WITNESSES must be pairs of the public key and the URL of a witness')
    }
    witnesses.set(url, [...witnesses.get(url) ?? [], key])
  }
  return [...witnesses].map(([url, keys]) => ({ url, keys }))
}

function parseKey (vkey: string) {
  try {
    const key = parseVerifierKey(vkey)
    return key.isCosigner ? key : undefined
  } catch (error) {
    if (error instanceof NoteError) return undefined
    throw error
  }
}

interface WitnessesOptions {
  witnesses: WitnessSettings[]
  log: WitnessedLog
  logger: FastifyBaseLogger
  intervalMs?: number
}

/**
 * Has the newest checkpoint of the log cosigned by each witness, every 5 s, less often while one fails.
 * Several replicas may do it at the same time. Nothing waits for it: it delays no record.
 */
export class Witnesses {
  #options: WitnessesOptions
  #clients: WitnessClient[]
  #timers = new Map<WitnessClient, NodeJS.Timeout>()
  #running = new Set<Promise<void>>()
  #closed = false

  constructor (options: WitnessesOptions) {
    this.#options = options
    const { witnesses, log, logger } = options
    this.#clients = witnesses.map((witness) => new WitnessClient(witness, log, logger))
  }

  start () {
    for (const client of this.#clients) this.#schedule(client, 0, 0)
  }

  /** Submits the newest checkpoint to each witness. @returns the names of those that did not cosign it */
  async submitOnce () {
    const unwitnessed = await Promise.all(this.#clients.map(async (client) => {
      // With a second attempt where a replica was faster with a newer checkpoint
      const isDone = await this.#attempt(client)
      return isDone || (isDone === false && await this.#attempt(client)) ? [] : [client.name]
    }))
    return unwitnessed.flat()
  }

  /** Ends the requests under way. */
  async close () {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all(this.#running)
  }

  #schedule (client: WitnessClient, ms: number, failures: number) {
    if (this.#closed) return
    this.#timers.set(client, setTimeout(() => {
      const running = this.#submit(client, failures)
      this.#running.add(running)
      running.finally(() => this.#running.delete(running))
    }, ms).unref())
  }

  async #submit (client: WitnessClient, failures: number) {
    const { logger, intervalMs = INTERVAL_MS } = this.#options
    const isDone = await this.#attempt(client)
    // Not the first time, when another replica may have been faster
    if (isDone === false && failures > 0) recordMetric('witness.inconsistent', 1)
    // Once for each outage
    if (isDone && failures > 0) logger.info({ witness: client.name }, 'the witness cosigns again')
    const failed = isDone ? 0 : failures + 1
    this.#schedule(client, Math.min(intervalMs * 2 ** failed, Math.max(MAX_INTERVAL_MS, intervalMs)), failed)
  }

  /** Whether the newest checkpoint is cosigned now; undefined after an error. */
  async #attempt (client: WitnessClient) {
    const { log, logger } = this.#options
    try {
      return await client.submitNewest()
    } catch (err) {
      if (!this.#closed) logger.warn({ err, witness: client.name }, 'the checkpoint is not witnessed')
      return undefined
    } finally {
      await recordAge(client, log).catch((err) => logger.debug({ err }, 'the log cannot be read'))
    }
  }
}

async function recordAge ({ name, cosignedSize }: WitnessClient, log: WitnessedLog) {
  if (cosignedSize === undefined) return
  const since = await log.dateAfter(cosignedSize)
  const seconds = since === undefined ? 0 : (Date.now() - since.getTime()) / 1_000
  recordMetric('audit.unwitnessed_age', seconds, { witness: name })
}

/** Whether a checkpoint has a signature line of one of `keys`. Lines are verified before they are stored. */
export function isCosignedBy ({ cosignatures }: SignedCheckpoint, keys: VerifierKey[]) {
  return cosignatures.map(parseSignature).some(({ name, keyId }) => {
    return keys.some((key) => key.name === name && key.keyId === keyId)
  })
}
