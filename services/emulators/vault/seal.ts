import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { SettingsError } from '#common/config.ts'

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
/** Says what the file is, and is authenticated with it. */
const MAGIC = Buffer.from('vault 1\n')

/** @throws {Error} with code ENOENT where there is no key, {@link SettingsError} where it is damaged */
export function readUnsealKey (file: string): Buffer {
  const text = readFileSync(file, 'utf8').trim()
  if (!/^[\w-]{43}$/.test(text)) throw new SettingsError(`${file} is damaged: it must hold ${KEY_BYTES} bytes in base64url`)
  return Buffer.from(text, 'base64url')
}

/** Makes the key where there is none yet; the file is whole from the moment it is there. */
export function makeUnsealKey (file: string): Buffer {
  const dir = dirname(file)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const unfinished = `${file}.new`
  writeFileSync(unfinished, `${randomBytes(KEY_BYTES).toString('base64url')}\n`, { mode: 0o600, flush: true })
  // Unlike a rename, a link never replaces a key that another process has just made
  linkSync(unfinished, file)
  rmSync(unfinished)
  const directory = openSync(dir, 'r')
  fsyncSync(directory)
  closeSync(directory)
  return readUnsealKey(file)
}

/** One key for one purpose (HKDF, RFC 5869). */
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

/** @throws {Error} where it was not sealed by this key, or has changed since */
export function unseal (unsealKey: Buffer, file: Buffer) {
  const from = MAGIC.length + IV_BYTES
  const to = file.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', derive(unsealKey, 'sealing'), file.subarray(MAGIC.length, from), { authTagLength: TAG_BYTES })
  decipher.setAAD(file.subarray(0, MAGIC.length)).setAuthTag(file.subarray(to))
  return decipher.update(file.subarray(from, to), undefined, 'utf8') + decipher.final('utf8')
}
