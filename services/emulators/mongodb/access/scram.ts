import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import { CommandError, notSupported } from '../errors.ts'

export const mechanism = 'SCRAM-SHA-256'
const iterations = 15000
const saltLength = 28

/** What is stored of a password: with it a proof can be checked, not made. */
export interface Credential {
  salt: Uint8Array
  iterations: number
  storedKey: Uint8Array
  serverKey: Uint8Array
}

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/** Throws CommandNotSupported for characters that clients map before they log in (RFC 4013). */
export function credentialOf (password: string): Credential {
  if (!/^[ -~]+$/.test(password)) throw notSupported('a password of other characters than printable ASCII')
  const salt = randomBytes(saltLength)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  return {
    salt,
    iterations,
    storedKey: hash(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key')
  }
}

export function authenticationFailed (): CommandError {
  return new CommandError('AuthenticationFailed', 'Authentication failed.')
}

const maxPayload = 16 * 1024
// without channel binding; the client's list of extensions is ignored
const clientFirst = /^([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]{4,})(?:,.*)?)$/s
const clientFinal = /^(c=([^,]+),r=([^,]+)(?:,.*)?),p=([^,]+)$/s

/**
 * The server's side of one login by SCRAM-SHA-256. https://www.rfc-editor.org/rfc/rfc5802, rfc7677
 * Every invalid payload throws the same AuthenticationFailed.
 */
export class Conversation {
  database: string
  name = ''
  credential: Credential | undefined
  /** Whether the client has proved that it knows the password, and has been answered. */
  done = false
  #lookUp: (name: string) => Credential | undefined
  #header = ''
  #nonce = ''
  #messages = ''

  constructor (database: string, lookUp: (name: string) => Credential | undefined) {
    this.database = database
    this.#lookUp = lookUp
  }

  /** The answer to the client's next payload. */
  answer (payload: Buffer): Buffer {
    if (payload.length > maxPayload || this.done) throw authenticationFailed()
    return this.credential === undefined ? this.#first(payload.toString()) : this.#final(payload.toString())
  }

  #first (message: string): Buffer {
    const [, header, authorizeAs, bare, encoded, clientNonce] = clientFirst.exec(message) ?? []
    if (header === undefined || (authorizeAs !== undefined && authorizeAs !== encoded)) {
      throw authenticationFailed()
    }
    this.name = encoded!.replace(/=(2C|3D)/g, (_, code) => code === '2C' ? ',' : '=')
    this.credential = this.#lookUp(this.name)
    if (this.credential === undefined) throw authenticationFailed()
    const { salt, iterations } = this.credential
    this.#header = header
    this.#nonce = clientNonce + randomBytes(24).toString('base64')
    const answer = `r=${this.#nonce},s=${Buffer.from(salt).toString('base64')},i=${iterations}`
    this.#messages = `${bare},${answer}`
    return Buffer.from(answer)
  }

  #final (message: string): Buffer {
    const [, unproved, header = '', nonce, proof = ''] = clientFinal.exec(message) ?? []
    const { storedKey, serverKey } = this.credential!
    const given = Buffer.from(proof, 'base64')
    const isValid = unproved !== undefined && nonce === this.#nonce && given.length === 32 &&
      Buffer.from(header, 'base64').toString() === this.#header
    if (!isValid) throw authenticationFailed()
    const messages = `${this.#messages},${unproved}`
    const signature = hmac(storedKey, messages)
    const clientKey = given.map((byte, i) => byte ^ signature[i]!)
    if (!timingSafeEqual(hash(clientKey), storedKey)) throw authenticationFailed()
    this.done = true
    return Buffer.from(`v=${hmac(serverKey, messages).toString('base64')}`)
  }
}
