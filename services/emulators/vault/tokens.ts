import { createHmac, timingSafeEqual } from 'node:crypto'

const LIFE_SECONDS = 24 * 60 * 60

/** The only tenant, which tokens and challenges name. */
export const TENANT_ID = '11111111-1111-1111-1111-111111111111'
export const AUTHORITY = `https://login.localhost/${TENANT_ID}`

const HEADER = encode({ alg: 'HS256', typ: 'JWT' })

export interface Claims {
  aud: string
  appid: string
  exp: number
}

/** Access tokens: JWTs (RFC 7519) that the vault signs with HMAC-SHA-256 (RFC 7518, section 3.2). */
export class Tokens {
  #key: Buffer
  #now: () => number
  #lifeSeconds: number

  /** @param now ms since the epoch */
  constructor (key: Buffer, now = () => Date.now(), lifeSeconds = LIFE_SECONDS) {
    this.#key = key
    this.#now = now
    this.#lifeSeconds = lifeSeconds
  }

  /** @param appid the client id of the caller, @param aud the resource that the token is for */
  issue (appid: string, aud: string) {
    const iat = Math.floor(this.#now() / 1_000)
    const exp = iat + this.#lifeSeconds
    const signed = `${HEADER}.${encode({ aud, iss: AUTHORITY, tid: TENANT_ID, appid, iat, nbf: iat, exp })}`
    return { token: this.#sign(signed), exp }
  }

  /** The client id in `token`; undefined unless it was issued here for `aud` and has not expired. */
  verify (token: string, aud: string): string | undefined {
    const claims = this.claimsOf(token)
    if (claims?.aud === aud && claims.exp > this.#now() / 1_000) return claims.appid
  }

  /** What a token says that was issued here, also once it has expired. */
  claimsOf (token: string): Claims | undefined {
    const signed = token.slice(0, token.lastIndexOf('.'))
    const [given, expected] = [token, this.#sign(signed)].map((text) => Buffer.from(text)) as [Buffer, Buffer]
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return
    // The signature is valid, so the content was encoded here
    return JSON.parse(Buffer.from(signed.split('.')[1]!, 'base64url').toString())
  }

  #sign (signed: string) {
    return `${signed}.${createHmac('sha256', this.#key).update(signed).digest('base64url')}`
  }
}

function encode (part: object) {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
