import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { KeysUnavailable } from '#common/http/problems.ts'
import type { Secrets } from '#common/secrets/secrets.ts'
import { InvalidCursor } from './errors.ts'

const IV = 12
const TAG = 16
/** Tells the version that sealed a text, and nothing of the key. */
const KEY_ID = 6

/** Claims under Idempotency-Keys are found by the version under which they were taken, for a day, however often it is rotated. */
const MOST_VERSIONS = 32

/** What the patient-data-key serves for; each purpose has a key of its own, derived by HKDF (RFC 5869). */
export interface DataKey {
  readonly id: Buffer
  /** AES-256-GCM of `text`, bound to `context`, in base64url. */
  seal (text: string, context: string): string
  /** @throws {InvalidCursor} the text was not sealed in this context, or was changed */
  open (sealed: string, context: string): string
  /** HMAC-SHA-256 in base64url. */
  mac (text: string): string
}

export function dataKey (key: string): DataKey {
  const derive = (purpose: string, bytes = 32) => Buffer.from(hkdfSync('sha256', Buffer.from(key, 'base64url'), '', purpose, bytes))
  const id = derive('id', KEY_ID)
  const sealing = derive('cursor')
  const authenticating = derive('idempotency')

  return {
    id,

    seal (text, context) {
      const iv = randomBytes(IV)
      const cipher = createCipheriv('aes-256-gcm', sealing, iv).setAAD(Buffer.from(context))
      return Buffer.concat([id, iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
    },

    open (sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url')
      // Decoding passes over foreign characters and unused bits, and each text must have one meaning
      if (bytes.length < KEY_ID + IV + TAG || !hasId(bytes, id) || bytes.toString('base64url') !== sealed) throw new InvalidCursor()
      try {
        const decipher = createDecipheriv('aes-256-gcm', sealing, bytes.subarray(KEY_ID, KEY_ID + IV), { authTagLength: TAG })
          .setAAD(Buffer.from(context))
          .setAuthTag(bytes.subarray(-TAG))
        return decipher.update(bytes.subarray(KEY_ID + IV, -TAG), undefined, 'utf8') + decipher.final('utf8')
      } catch {
        throw new InvalidCursor()
      }
    },

    mac: (text) => createHmac('sha256', authenticating).update(text).digest('base64url')
  }
}

/** The versions of the patient-data-key in force: the current one seals, and what any of them sealed opens. */
export interface DataKeys {
  /** @throws {KeysUnavailable} */
  current (): DataKey
  /** Newest first, the same in every replica that knows the same versions. */
  validKeys (): DataKey[]
  /** By the current one. */
  seal (text: string, context: string): string
  /** @throws {InvalidCursor} */
  open (sealed: string, context: string): Promise<string>
}

export function dataKeys (secrets: Secrets): DataKeys {
  const secret = secrets.open('patient-data-key', dataKey, MOST_VERSIONS)
  const keys: DataKeys = {
    current () {
      const key = secret.current()
      if (!key) throw new KeysUnavailable()
      return key
    },

    validKeys: () => secret.validVersions().map(({ value: use }) => use),

    seal: (text, context) => keys.current().seal(text, context),

    async open (sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url')
      // Another replica may have sealed it by a version that is not known here yet
      const key = await secret.findOrRefresh((versions) => versions.find(({ id }) => hasId(bytes, id)))
      if (!key) throw new InvalidCursor()
      return key.open(sealed, context)
    }
  }
  return keys
}

function hasId (sealed: Buffer, id: Buffer) {
  return sealed.subarray(0, KEY_ID).equals(id)
}
