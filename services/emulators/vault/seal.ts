import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { SettingsError } from '#common/config.ts'
import { replaceFile } from '#common/files.ts'

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
/** Identifies the format of the file, and is authenticated with it. */
const MAGIC = Buffer.from('vault 1\n')

/** @throws {Error} with code ENOENT if there is no key, {@link SettingsError} if it is damaged */
export function readUnsealKey (file: string): Buffer {
  const text = readFileSync(file, 'utf8').trim()
  if (/^[\w-]{43}$/.test(text)) return Buffer.from(text, 'base64url')
  throw new SettingsError(`${file} is damaged: it must hold ${KEY_BYTES} bytes in base64url`)
}

/** Creates the key; a reader never sees a part of it. */
export function makeUnsealKey (file: string): Buffer {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const key = randomBytes(KEY_BYTES)
  replaceFile(file, `${key.toString('base64url')}\n`)
  return key
}

/** A key for one purpose (HKDF, RFC 5869). */
export function derive (unsealKey: Buffer, purpose: 'sealing' | 'tokens') {
  return Buffer.from(hkdfSync('sha256', unsealKey, '', purpose, KEY_BYTES))
}

/** Encrypts by AES-256-GCM (NIST SP 800-38D). */
export function seal (unsealKey: Buffer, content: string) {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', derive(unsealKey, 'sealing'), iv).setAAD(MAGIC)
  const sealed = Buffer.concat([cipher.update(content, 'utf8'), cipher.final()])
  return Buffer.concat([MAGIC, iv, sealed, cipher.getAuthTag()])
}

/** @throws {Error} if it was sealed with another key, or has been modified */
export function unseal (unsealKey: Buffer, file: Buffer) {
  const from = MAGIC.length + IV_BYTES
  const to = file.length - TAG_BYTES
  const iv = file.subarray(MAGIC.length, from)
  const key = derive(unsealKey, 'sealing')
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(file.subarray(0, MAGIC.length)).setAuthTag(file.subarray(to))
  return decipher.update(file.subarray(from, to), undefined, 'utf8') + decipher.final('utf8')
}
