import type { FastifyReply, FastifyRequest } from 'fastify'
import createError from '@fastify/error'
import { ON_BEHALF_OF } from '#common/http/caller.ts'
import { InvalidCursor } from '#common/http/problems.ts'
import { sealingKey, sealingKeys, type SealingKeys } from '#common/secrets/sealing.ts'
import type { Secrets } from '#common/secrets/secrets.ts'
import { purposeNames } from './names.ts'

const MINUTE_MS = 60_000
/** A session ends when nobody has used it for this long. */
const IDLE_MS = 30 * MINUTE_MS
/** A session ends at this age at the latest. */
const LONGEST_MS = 8 * 60 * MINUTE_MS
/** A session is sealed again once its cookie is older, so that its last use is known. */
const RENEWED_MS = MINUTE_MS
/** Browsers may drop larger cookies. */
const MAX_COOKIE = 4_000

const CONTEXT = 'session of the auditor\'s page'
const PATH = '/auditor'

export const SessionTooLarge = createError('SESSION_TOO_LARGE', 'The token is too long for a session', 400)

/** Who is signed in. It is kept in the browser only, as a sealed cookie. */
export interface Session {
  /** The subscription key of an auditor. */
  key?: string
  /** A token of Microsoft Entra ID. */
  token?: string
  /** The person, as the records of the questions name it. */
  onBehalfOf: string
  /** The purpose of use of the questions. */
  purpose: string
  /** When it began, in ms since 1970. */
  began: number
  /** When it was used, in ms since 1970; a minute or less ago may not count. */
  used: number
}

declare module 'fastify' {
  interface FastifyRequest { session: Session | undefined }
}

/** What a person types to sign in. */
export interface Credentials {
  key: string
  token: string
  onBehalfOf: string
  purpose: string
}

// Three parts in base64url; keys of API Management have no dots
const JWT = /^[\w-]{10,}\.[\w-]{10,}\.[\w-]+$/
const KEY = /^[\x21-\x7e]{1,256}$/
const TOKEN = /^[\x21-\x7e]{1,3000}$/
const onBehalfOfPattern = new RegExp(ON_BEHALF_OF)

/** The session of these credentials, or which of them is malformed. */
export function sessionOf (typed: Credentials, now = Date.now()): Session | keyof Credentials {
  const key = typed.key.trim()
  const token = typed.token.trim().replace(/^Bearer /i, '')
  const onBehalfOf = typed.onBehalfOf.trim()
  if (!(JWT.test(key) ? TOKEN : KEY).test(key)) return 'key'
  if (token !== '' && !TOKEN.test(token)) return 'token'
  if (!onBehalfOfPattern.test(onBehalfOf)) return 'onBehalfOf'
  if (!Object.hasOwn(purposeNames, typed.purpose)) return 'purpose'
  const credentials = JWT.test(key) ? { token: key } : { key, ...(token && { token }) }
  return { ...credentials, onBehalfOf, purpose: typed.purpose, began: now, used: now }
}

/** Keeps sessions in cookies, sealed with the auditor-session-key. */
export class Sessions {
  #keys: SealingKeys
  #isSecure: boolean
  #name: string

  /** @param isSecure whether browsers send the cookie over https only */
  constructor (secrets: Secrets, isSecure: boolean) {
    const derive = (value: string) => sealingKey(Buffer.from(value, 'base64url'))
    this.#keys = sealingKeys(secrets.open('auditor-session-key', derive))
    this.#isSecure = isSecure
    this.#name = isSecure ? '__Secure-auditor' : 'auditor'
  }

  /** The session of a request; undefined if it has none, or one that has ended. */
  async find ({ headers: { cookie = '' } }: FastifyRequest, now = Date.now()): Promise<Session | undefined> {
    const pairs = cookie.split(';').map((pair) => pair.trim().split('='))
    const sealed = pairs.find(([name]) => name === this.#name)?.[1]
    if (sealed === undefined) return undefined
    try {
      const session: Session = JSON.parse(await this.#keys.open(sealed, CONTEXT))
      return now - session.used < IDLE_MS && now - session.began < LONGEST_MS ? session : undefined
    } catch (error) {
      if (error instanceof InvalidCursor) return undefined
      throw error
    }
  }

  /**
   * Sets the cookie of a session that begins.
   *
   * @throws {SessionTooLarge}
   */
  begin (reply: FastifyReply, session: Session) {
    const sealed = this.#keys.seal(JSON.stringify(session), CONTEXT)
    if (sealed.length > MAX_COOKIE) throw new SessionTooLarge()
    this.#setCookie(reply, sealed, IDLE_MS)
  }

  /** Sets the cookie of a session again once it is older than a minute. */
  renew (reply: FastifyReply, session: Session, now = Date.now()) {
    if (now - session.used >= RENEWED_MS) this.begin(reply, { ...session, used: now })
  }

  end (reply: FastifyReply) {
    this.#setCookie(reply, '', 0)
  }

  #setCookie (reply: FastifyReply, value: string, ms: number) {
    const attributes = `Path=${PATH}; Max-Age=${ms / 1_000}; HttpOnly; SameSite=Strict`
    const cookie = `${this.#name}=${value}; ${attributes}${this.#isSecure ? '; Secure' : ''}`
    reply.header('set-cookie', cookie)
  }
}
