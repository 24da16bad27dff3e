import { parseCheckpoint, parseProof } from '#common/transparency/checkpoints.ts'
import {
  parseNote, parseVerifierKey, verifiedSignatures, type VerifierKey
} from '#common/transparency/notes.ts'

/** A key of the log, and whether a key before it has signed the note that hands over to it. */
export interface KnownKey {
  vkey: string
  name: string
  keyId: string
  /** `first` has no key before it. */
  succession: 'first' | 'signed' | 'unsigned'
}

export interface CheckpointSignature {
  name: string
  keyId: string
  /** `valid`: checked with a key that this page knows. */
  state: 'valid' | 'unknown key'
  /** When a witness signed, in ms since 1970. */
  time?: number
}

export interface CheckpointView {
  origin: string
  size: number
  /** In base64. */
  root: string
  signatures: CheckpointSignature[]
  cosignatures: CheckpointSignature[]
}

const TIMED_BYTES = 8 + 64

/**
 * The keys in the text of `/log/keys`: the first one on a line, later ones in notes.
 *
 * @throws {NoteError}
 */
export function keysOf (text: string): KnownKey[] {
  const known: VerifierKey[] = []
  const found: KnownKey[] = []
  // A note has one empty line in it, and one follows each key
  for (const part of text.split(/\n\n(?!— )/).filter((one) => one.trim() !== '')) {
    const note = part.includes('\n— ') ? parseNote(`${part.trimEnd()}\n`) : undefined
    const key = parseVerifierKey(note ? note.text.split('\n')[1]! : part.trim())
    const isSigned = note && verifiedSignatures(note, known)
      .some((one) => note.text.startsWith(`${one.key.name}/keys\n`))
    const succession = isSigned ? 'signed' : known.length === 0 ? 'first' : 'unsigned'
    known.push(key)
    found.push({ vkey: key.vkey, name: key.name, keyId: key.keyId, succession })
  }
  return found
}

/**
 * A checkpoint, with who signed it.
 *
 * @param keys of the log, and those of witnesses that the operator of this page trusts
 * @throws {NoteError} also if a signature of one of the keys is invalid
 */
export function checkpointOf (text: string, keys: VerifierKey[]): CheckpointView {
  const note = parseNote(text)
  const { origin, size, root } = parseCheckpoint(note.text)
  const valid = verifiedSignatures(note, keys)
  const all = note.signatures.map(({ name, keyId, bytes, line }): CheckpointSignature => {
    const time = bytes.length === TIMED_BYTES ? Number(bytes.readBigUInt64BE(0)) * 1_000 : undefined
    const isValid = valid.some((one) => one.line === line)
    return { name, keyId, state: isValid ? 'valid' : 'unknown key', ...(time !== undefined && { time }) }
  })
  return {
    origin,
    size,
    root: root.toString('base64'),
    signatures: all.filter(({ time }) => time === undefined),
    cosignatures: all.filter(({ time }) => time !== undefined)
  }
}

/**
 * The proof of a record, with its checkpoint.
 *
 * @throws {NoteError}
 */
export function proofOf (text: string, keys: VerifierKey[]) {
  const { index, hashes, checkpoint } = parseProof(text)
  const inBase64 = hashes.map((hash) => hash.toString('base64'))
  return { index, hashes: inBase64, checkpoint: checkpointOf(checkpoint, keys) }
}
