import { NoteError } from './notes.ts'
import { HASH_BYTES, type TreeHead } from './tree.ts'

/** Checkpoints (https://c2sp.org/tlog-checkpoint), and the proofs that travel with them. */

export interface Checkpoint extends TreeHead {
  /** The name of the log. */
  origin: string
  root: Buffer
}

/** The text of the note: origin, size and root, a line each. */
export function formatCheckpoint ({ origin, size, root }: Checkpoint) {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}

/**
 * @param text of a note; lines after the root are extensions, which are ignored
 * @throws {NoteError}
 */
export function parseCheckpoint (text: string): Checkpoint {
  const [origin = '', size = '', root = ''] = text.split('\n')
  if (origin === '') throw new NoteError('the origin of a checkpoint must not be empty')
  return { origin, size: parseSize(size), root: parseHash(root) }
}

/**
 * @param text decimal digits
 * @throws {NoteError}
 */
export function parseSize (text: string) {
  const size = Number(text)
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(size)) {
    throw new NoteError('a size or index must be a decimal number below 2^53')
  }
  return size
}

/** @throws {NoteError} */
export function parseHash (base64: string) {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== HASH_BYTES || bytes.toString('base64') !== base64) {
    throw new NoteError('a hash must be 32 bytes in base64')
  }
  return bytes
}

const PROOF_HEADER = 'c2sp.org/tlog-proof@v1'

interface InclusionProof {
  index: number
  hashes: Buffer[]
  /** The signed checkpoint. */
  checkpoint: string
}

/** A proof of inclusion (https://c2sp.org/tlog-proof). */
export function formatProof ({ index, hashes, checkpoint }: InclusionProof) {
  const lines = [PROOF_HEADER, `index ${index}`, ...hashes.map((hash) => hash.toString('base64'))]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** @throws {NoteError} */
export function parseProof (proof: string): InclusionProof {
  const end = proof.indexOf('\n\n')
  const [header, ...lines] = proof.slice(0, end).split('\n')
  const [index = '', ...hashes] = lines.filter((line) => !line.startsWith('extra '))
  if (end < 0 || header !== PROOF_HEADER || !index.startsWith('index ')) {
    throw new NoteError(`a proof must start with ${PROOF_HEADER} and an index`)
  }
  return {
    index: parseSize(index.slice('index '.length)),
    hashes: hashes.map(parseHash),
    checkpoint: proof.slice(end + 2)
  }
}
