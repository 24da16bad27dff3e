import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { KeysUnavailable } from '#common/http/problems.ts'
import type { Secrets } from '#common/secrets/secrets.ts'
import { InvalidCursor } from './errors.ts'

const IV = 12
const TAG = 16
/** Identifies the version that sealed a text, without disclosing its key. */
const KEY_ID = 6

/** Idempotency-Keys are valid for a day, so old versions are needed that long, however many there are. */
const MAX_VERSIONS = 32

/** A version of the patient-data-key. Each purpose has its own key, derived by HKDF (RFC 5869). */
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
  const secret = Buffer.from(key, 'base64url')
  const derive = (purpose: string, bytes = 32) => Buffer.from(hkdfSync('sha256', secret, '', purpose, bytes))
  const id = derive('id', KEY_ID)
  const sealing = derive('cursor')
  const authenticating = derive('idempotency')

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
    },

    mac: (text) => createHmac('sha256', authenticating).update(text).digest('base64url')
  }
}

/** The valid versions of the patient-data-key: the current one seals, and all of them open. */
export interface DataKeys {
  /** @throws {KeysUnavailable} */
  current (): DataKey
  /** Newest first, in the same order in every replica. */
  validKeys (): DataKey[]
  /** Seals with the current version. */
  seal (text: string, context: string): string
  /** @throws {InvalidCursor} */
  open (sealed: string, context: string): Promise<string>
}

export function dataKeys (secrets: Secrets): DataKeys {
  const secret = secrets.open('patient-data-key', dataKey, MAX_VERSIONS)
  const keys: DataKeys = {
    current () {
      const key = secret.current()
      if (!key) throw new KeysUnavailable()
      return key
    },

    validKeys: () => secret.validVersions().map(({ value }) => value),

    seal: (text, context) => keys.current().seal(text, context),

    async open (sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url')
      // Another replica may have sealed it with a version that is not read here yet
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
