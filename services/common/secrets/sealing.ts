import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { InvalidCursor, KeysUnavailable } from '../http/problems.ts'
import type { Secret } from './secrets.ts'

const IV = 12
const TAG = 16
/** Identifies the version that sealed a text, without disclosing its key. */
const KEY_ID = 6

/** A version of a secret that seals cursors. Each purpose has its own key, derived by HKDF (RFC 5869). */
export interface SealingKey {
  readonly id: Buffer
  /** AES-256-GCM of `text`, bound to `context`, in base64url. */
  seal (text: string, context: string): string
  /** @throws {InvalidCursor} the text was not sealed in this context, or was changed */
  open (sealed: string, context: string): string
}

/** Derives the key of one `purpose` from a secret. */
export function deriveKey (secret: Buffer, purpose: string, bytes = 32) {
  return Buffer.from(hkdfSync('sha256', secret, '', purpose, bytes))
}

export function sealingKey (secret: Buffer): SealingKey {
  const id = deriveKey(secret, 'id', KEY_ID)
  const sealing = deriveKey(secret, 'cursor')

  return {
    id,

    seal (text, context) {
      const iv = randomBytes(IV)
      const cipher = createCipheriv('aes-256-gcm', sealing, iv).setAAD(Buffer.from(context))
      const parts = [id, iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]
      return Buffer.concat(parts).toString('base64url')
    },

    open (sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url')
      // Decoding ignores invalid characters and unused bits, but each text must have only one encoding
      const isCanonical = bytes.toString('base64url') === sealed
      if (bytes.length < KEY_ID + IV + TAG || !hasId(bytes, id) || !isCanonical) throw new InvalidCursor()
      try {
        const iv = bytes.subarray(KEY_ID, KEY_ID + IV)
        const decipher = createDecipheriv('aes-256-gcm', sealing, iv, { authTagLength: TAG })
          .setAAD(Buffer.from(context))
          .setAuthTag(bytes.subarray(-TAG))
        return decipher.update(bytes.subarray(KEY_ID + IV, -TAG), undefined, 'utf8') + decipher.final('utf8')
      } catch {
        throw new InvalidCursor()
      }
    }
  }
}

/** The valid versions of a secret: the current one seals, and all of them open. */
export interface SealingKeys {
  /** Seals with the current version. */
  seal (text: string, context: string): string
  /** @throws {InvalidCursor} */
  open (sealed: string, context: string): Promise<string>
}

export function sealingKeys (secret: Secret<SealingKey>): SealingKeys {
  return {
    seal: (text, context) => currentKey(secret).seal(text, context),

    async open (sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url')
      // Another replica may have sealed it with a version that is not read here yet
      const key = await secret.findOrRefresh((versions) => versions.find(({ id }) => hasId(bytes, id)))
      if (!key) throw new InvalidCursor()
      return key.open(sealed, context)
    }
  }
}

/** @throws {KeysUnavailable} */
export function currentKey<T> (secret: Secret<T>): T {
  const key = secret.current()
  if (!key) throw new KeysUnavailable()
  return key
}

function hasId (sealed: Buffer, id: Buffer) {
  return sealed.subarray(0, KEY_ID).equals(id)
}
