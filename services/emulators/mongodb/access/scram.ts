import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import { CommandError } from '../errors.ts'

export const mechanism = 'SCRAM-SHA-256'
export const iterations = 15000
export const saltLength = 28

/** What is stored of a password: with it a proof can be checked, not made. */
export interface Credential {
  salt: Uint8Array
  iterations: number
  storedKey: Uint8Array
  serverKey: Uint8Array
}

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/**
 * Maps what SASLprep (RFC 4013) maps, as clients do before they log in. What it prohibits is not refused
 * here: clients refuse such a password themselves, so that nobody can log in with it.
 */
const prepared = (password: string): string => password
  .replace(/[\u1680\u200b]/g, ' ')
  .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
  .normalize('NFKC')

export function credentialOf (password: string): Credential {
  const salt = randomBytes(saltLength)
  const salted = pbkdf2Sync(prepared(password), salt, iterations, 32, 'sha256')
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
  #lookUp: (name: string) => Credential
  #skipEmptyExchange: boolean
  #next: 'first' | 'final' | 'empty' = 'first'
  #header = ''
  #nonce = ''
  #messages = ''

  constructor (database: string, lookUp: (name: string) => Credential, skipEmptyExchange: boolean) {
    this.database = database
    this.#lookUp = lookUp
    this.#skipEmptyExchange = skipEmptyExchange
  }

  /** The answer to the client's next payload. */
  answer (payload: Buffer): Buffer {
    if (payload.length > maxPayload || this.done) throw authenticationFailed()
    switch (this.#next) {
      case 'first': return this.#first(payload.toString())
      case 'final': return this.#final(payload.toString())
      default:
        this.done = true
        return Buffer.alloc(0)
    }
  }

  #first (message: string): Buffer {
    const [, header, authorizeAs, bare, encoded, clientNonce] = clientFirst.exec(message) ?? []
    if (header === undefined || (authorizeAs !== undefined && authorizeAs !== encoded)) {
      throw authenticationFailed()
    }
    this.name = encoded!.replace(/=(2C|3D)/g, (_, code) => code === '2C' ? ',' : '=')
    this.credential = this.#lookUp(this.name)
    const { salt, iterations } = this.credential
    this.#header = header
    this.#nonce = clientNonce + randomBytes(24).toString('base64')
    const answer = `r=${this.#nonce},s=${Buffer.from(salt).toString('base64')},i=${iterations}`
    this.#messages = `${bare},${answer}`
    this.#next = 'final'
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
    this.#next = 'empty'
    this.done = this.#skipEmptyExchange
    return Buffer.from(`v=${hmac(serverKey, messages).toString('base64')}`)
  }
}
