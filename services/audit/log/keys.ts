import type { FastifyBaseLogger } from 'fastify'
import {
  formatNote, parseVerifierKey, signerOf, type Signer, type VerifierKey
} from '#common/transparency/notes.ts'
import type { Secret, Secrets } from '#common/secrets/secrets.ts'
import type { LogKey } from '#common/transparency/documents.ts'
import type { LogStore } from './store.ts'

/** Opens the key of the log: each version is the seed of a pair of keys. */
export function openLogKey (secrets: Secrets, origin: string) {
  return secrets.open('audit-log-key', (seed) => signerOf(origin, Buffer.from(seed, 'base64url')))
}

/** The text of the note by which a key hands over to the next one. */
const successionText = (origin: string, vkey: string) => `${origin}/keys\n${vkey}\n`

/** The keys with which the log signs, and those with which it signed. */
export class LogKeys {
  #secret: Secret<Signer>
  #store: LogStore
  #origin: string
  #log: FastifyBaseLogger
  #published = new Set<string>()

  constructor (secret: Secret<Signer>, store: LogStore, origin: string, log: FastifyBaseLogger) {
    this.#secret = secret
    this.#store = store
    this.#origin = origin
    this.#log = log
  }

  get loaded () { return this.#secret.loaded }

  /** The signature line of each valid version of the key, once its public key is published. */
  async sign (text: string) {
    const signers = this.#signers()
    for (const [i, signer] of signers.entries()) {
      if (!this.#published.has(signer.vkey)) await this.#publish(signer, signers[i - 1])
    }
    return signers.map((signer) => signer.sign(text))
  }

  /** Every key that the log signs or signed with. */
  async verifiers (): Promise<VerifierKey[]> {
    const stored = await this.#store.keys()
    const vkeys = new Set([...stored.map(({ _id }) => _id), ...this.#signers().map(({ vkey }) => vkey)])
    return [...vkeys].map(parseVerifierKey)
  }

  /** The notes that hand over to each key but the first, in their order. */
  async successions () {
    return (await this.#store.keys()).flatMap(({ note }) => note === undefined ? [] : [note])
  }

  /** Oldest first. */
  #signers () {
    return this.#secret.validVersions().map(({ value }) => value).reverse()
  }

  async #publish ({ vkey }: Signer, before: Signer | undefined) {
    const keys = await this.#store.keys()
    if (!keys.some(({ _id }) => _id === vkey)) {
      const text = successionText(this.#origin, vkey)
      const note = before && formatNote(text, [before.sign(text)])
      if (!note && keys.length > 0) {
        const message = 'no valid key can sign the hand-over to this one: give it to auditors and witnesses'
        this.#log.error({ key: vkey }, message)
      }
      const document = { _id: vkey, _shardKey: vkey, date: new Date(), ...(note && { note }) }
      await this.#store.insertKey(document)
    }
    this.#published.add(vkey)
  }
}

/**
 * All keys as text: the first one on a line, then for each later one the note that hands over to it, or its
 * line where there is no note. An empty line follows each.
 */
export function formatKeys (keys: LogKey[]) {
  return keys.map(({ _id, note }) => `${note ?? `${_id}\n`}\n`).join('')
}
