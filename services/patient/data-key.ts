import { createHmac } from 'node:crypto'
import {
  currentKey, deriveKey, sealingKey, sealingKeys, type SealingKey, type SealingKeys
} from '#common/secrets/sealing.ts'
import type { Secrets } from '#common/secrets/secrets.ts'

/** Idempotency-Keys are valid for a day, so old versions are needed that long, however many there are. */
const MAX_VERSIONS = 32

/** A version of the patient-data-key. */
export interface DataKey extends SealingKey {
  /** HMAC-SHA-256 in base64url. */
  mac (text: string): string
}

export function dataKey (key: string): DataKey {
  const secret = Buffer.from(key, 'base64url')
  const authenticating = deriveKey(secret, 'idempotency')
  return {
    ...sealingKey(secret),
    mac: (text) => createHmac('sha256', authenticating).update(text).digest('base64url')
  }
}

/** The valid versions of the patient-data-key: the current one seals, and all of them open. */
export interface DataKeys extends SealingKeys {
  /** @throws {KeysUnavailable} */
  current (): DataKey
  /** Newest first, in the same order in every replica. */
  validKeys (): DataKey[]
}

export function dataKeys (secrets: Secrets): DataKeys {
  const secret = secrets.open('patient-data-key', dataKey, MAX_VERSIONS)
  return {
    ...sealingKeys(secret),
    current: () => currentKey(secret),
    validKeys: () => secret.validVersions().map(({ value }) => value)
  }
}
