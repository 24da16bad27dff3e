import { createHmac, timingSafeEqual } from 'node:crypto'

const LIFE_SECONDS = 24 * 60 * 60

/** The only tenant, which tokens and challenges name. */
export const TENANT_ID = '11111111-1111-1111-1111-111111111111'
export const AUTHORITY = `https://login.localhost/${TENANT_ID}`

const HEADER = encode({ alg: 'HS256', typ: 'JWT' })

interface Claims {
  aud: string
  appid: string
  exp: number
}

/** Access tokens: JWTs (RFC 7519) that the vault signs with HMAC-SHA-256 (RFC 7518, section 3.2). */
export class Tokens {
  #key: Buffer

  constructor (key: Buffer) {
    this.#key = key
  }

  /** @param appid the client id of the caller, @param aud the resource that the token is for */
  issue (appid: string, aud: string) {
    const iat = Math.floor(Date.now() / 1_000)
    const exp = iat + LIFE_SECONDS
    const signed = `${HEADER}.${encode({ aud, iss: AUTHORITY, tid: TENANT_ID, appid, iat, nbf: iat, exp })}`
    return { token: this.#sign(signed), exp }
  }

  /** The client id in `token`; undefined unless it was issued here for `aud` and has not expired. */
  verify (token: string, aud: string): string | undefined {
    const signed = token.slice(0, token.lastIndexOf('.'))
    const [given, expected] = [token, this.#sign(signed)].map((text) => Buffer.from(text)) as [Buffer, Buffer]
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return
    // The signature is valid, so the content was encoded here
    const claims: Claims = JSON.parse(Buffer.from(signed.split('.')[1]!, 'base64url').toString())
    if (claims.aud === aud && claims.exp > Date.now() / 1_000) return claims.appid
  }

  #sign (signed: string) {
    return `${signed}.${createHmac('sha256', this.#key).update(signed).digest('base64url')}`
  }
}

function encode (part: object) {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
