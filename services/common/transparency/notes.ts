import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { sha256 } from './tree.ts'

/**
 * Signed notes (https://c2sp.org/signed-note) with Ed25519, and the cosignatures of witnesses
 * (https://c2sp.org/tlog-cosignature).
 */

const ED25519 = 1
const COSIGNATURE = 4
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64

// What precedes the 32 bytes of an Ed25519 key in DER (RFC 8410)
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** A note, a key or a checkpoint that is not in its format, or has an invalid signature. */
export class NoteError extends Error {
  override name = 'NoteError'
}

export interface VerifierKey {
  name: string
  /** 8 hexadecimal digits. */
  keyId: string
  isCosigner: boolean
  publicKey: KeyObject
  /** `<name>+<key id>+<base64>` */
  vkey: string
}

interface Signature {
  name: string
  keyId: string
  bytes: Buffer
  /** The line of the note, without its newline. */
  line: string
}

export interface Note {
  /** Ends with a newline. */
  text: string
  signatures: Signature[]
}

/** Signs notes as `name`. */
export interface Signer {
  vkey: string
  /** The signature line of `text`, without its newline. `seconds` since 1970 are signed by cosigners. */
  sign (text: string, seconds?: number): string
}

/** @param seed 32 bytes */
export const signerOf = (name: string, seed: Buffer): Signer => makeSigner(name, seed, ED25519)
/** @param seed 32 bytes */
export const cosignerOf = (name: string, seed: Buffer): Signer => makeSigner(name, seed, COSIGNATURE)

function makeSigner (name: string, seed: Buffer, algorithm: number): Signer {
  if (!isName(name)) throw new NoteError('the name of a key must not be empty or contain spaces or +')
  if (seed.length !== KEY_BYTES) throw new NoteError('the seed of a key must be 32 bytes')
  const der = Buffer.concat([PRIVATE_PREFIX, seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const typed = Buffer.concat([Buffer.of(algorithm), spki.subarray(PUBLIC_PREFIX.length)])
  const keyId = keyIdOf(name, typed)
  return {
    vkey: `${name}+${keyId.toString('hex')}+${typed.toString('base64')}`,
    sign (text, seconds = Math.floor(Date.now() / 1_000)) {
      const isCosigner = algorithm === COSIGNATURE
      const signature = sign(null, isCosigner ? cosigned(text, seconds) : Buffer.from(text), privateKey)
      const bytes = Buffer.concat([keyId, ...(isCosigner ? [timestamp(seconds)] : []), signature])
      return `— ${name} ${bytes.toString('base64')}`
    }
  }
}

/** @throws {NoteError} */
export function parseVerifierKey (vkey: string): VerifierKey {
  const [name = '', keyId = '', base64 = '', ...more] = splitKey(vkey)
  const typed = Buffer.from(base64, 'base64')
  const algorithm = typed[0]
  const isKnown = algorithm === ED25519 || algorithm === COSIGNATURE
  if (more.length > 0 || !isName(name) || !isKnown || typed.length !== KEY_BYTES + 1) {
    throw new NoteError('a public key must be <name>+<key id>+<base64>, of Ed25519')
  }
  if (keyIdOf(name, typed).toString('hex') !== keyId) throw new NoteError('a public key has a wrong key id')
  const der = Buffer.concat([PUBLIC_PREFIX, typed.subarray(1)])
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return { name, keyId, isCosigner: algorithm === COSIGNATURE, publicKey, vkey }
}

/** The three parts; base64 may contain `+`, a name may not. */
function splitKey (vkey: string) {
  const [name, keyId, ...base64] = vkey.split('+')
  return [name, keyId, base64.join('+')]
}

/** @throws {NoteError} */
export function parseNote (note: string): Note {
  const end = note.lastIndexOf('\n\n') + 1
  if (end === 0 || !note.endsWith('\n')) {
    throw new NoteError('a note must be a text, an empty line and signatures')
  }
  const lines = note.slice(end + 1, -1).split('\n')
  return { text: note.slice(0, end), signatures: lines.map(parseSignature) }
}

/** @throws {NoteError} */
export function parseSignature (line: string): Signature {
  const [, name, base64] = /^— ([^\s+]+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? []
  const bytes = Buffer.from(base64 ?? '', 'base64')
  if (name === undefined || bytes.length < 5) throw new NoteError('a signature must be — <name> <base64>')
  return { name, keyId: bytes.toString('hex', 0, 4), bytes: bytes.subarray(4), line }
}

export const formatNote = (text: string, signatures: string[]) => `${text}\n${signatures.join('\n')}\n`

/** A valid signature of a known key. */
interface Verified {
  key: VerifierKey
  line: string
  /** When a witness signed, in seconds since 1970. */
  seconds?: number
}

/**
 * The signatures of `keys` on the note, in the order of its lines; those of other keys are ignored.
 *
 * @throws {NoteError} a signature of one of `keys` is invalid
 */
export function verifiedSignatures ({ text, signatures }: Note, keys: VerifierKey[]): Verified[] {
  return signatures.flatMap(({ name, keyId, bytes, line }) => {
    const key = keys.find((known) => known.name === name && known.keyId === keyId)
    if (!key) return []
    if (!key.isCosigner) {
      if (bytes.length !== SIGNATURE_BYTES || !verify(null, Buffer.from(text), key.publicKey, bytes)) {
        throw invalid(key)
      }
      return [{ key, line }]
    }
    const seconds = bytes.length === 8 + SIGNATURE_BYTES ? Number(bytes.readBigUInt64BE(0)) : NaN
    if (!verify(null, cosigned(text, seconds), key.publicKey, bytes.subarray(8))) {
      throw invalid(key)
    }
    return [{ key, line, seconds }]
  })
}

const invalid = ({ name }: VerifierKey) => new NoteError(`the signature of ${name} is invalid`)

function keyIdOf (name: string, typed: Uint8Array) {
  return sha256(Buffer.from(`${name}\n`), typed).subarray(0, 4)
}

function cosigned (text: string, seconds: number) {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`)
}

function timestamp (seconds: number) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(seconds))
  return bytes
}

const isName = (name: string) => /^[^\s+]+$/.test(name)
