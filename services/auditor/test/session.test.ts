import { test } from 'tap'
import { pino } from 'pino'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Secret, type Secrets } from '#common/secrets/secrets.ts'
import { sessionOf, Sessions, SessionTooLarge, type Session } from '../session.ts'

const MINUTE_MS = 60_000
const NOW = Date.parse('2026-11-28T12:00:00Z')
const keyOf = (letter: string) => Buffer.alloc(32, letter).toString('base64url')
const JWT = `${'a'.repeat(20)}.${'b'.repeat(40)}.${'c'.repeat(40)}`
const typed = { key: 'a-key', token: '', onBehalfOf: 'reviewer-17', purpose: 'HCOMPL' }

/** Sessions sealed with the versions `letters`, the newest first. */
async function sessions (letters: string[], isSecure = true) {
  const log = pino({ level: 'silent' })
  const secrets: Secrets = {
    open: (name, derive) => new Secret({
      name,
      read: async (id = letters[0]!) => {
        const previous = letters[letters.indexOf(id) + 1]
        return { id, value: keyOf(id), enabled: true, ...(previous && { previous }) }
      },
      derive,
      refreshSeconds: Infinity,
      rotationDays: Infinity,
      log
    })
  }
  const found = new Sessions(secrets, isSecure)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  return found
}

/** What `act` sets as cookie. */
function cookieOf (act: (reply: FastifyReply) => void) {
  let cookie: string | undefined
  act({ header: (_name: string, value: string) => { cookie = value } } as unknown as FastifyReply)
  return cookie
}

const requestWith = (cookie: string | undefined) =>
  ({ headers: { cookie: `other=1; ${cookie?.split(';')[0]}` } }) as unknown as FastifyRequest

test('a session ends after half an hour without use, or after eight hours', async (t) => {
  const session = sessionOf(typed, NOW) as Session
  t.strictSame(session, { key: 'a-key', onBehalfOf: 'reviewer-17', purpose: 'HCOMPL', began: NOW, used: NOW })
  const all = await sessions(['a'])
  const cookie = cookieOf((reply) => all.begin(reply, session))
  t.match(cookie, /^__Secure-auditor=[\w-]+; Path=\/auditor; Max-Age=1800; HttpOnly; SameSite=Strict; Secure$/)
  t.strictSame(await all.find(requestWith(cookie), NOW + 30 * MINUTE_MS - 1), session)
  t.equal(await all.find(requestWith(cookie), NOW + 30 * MINUTE_MS), undefined)

  const old = { ...session, used: NOW + 8 * 60 * MINUTE_MS - 2 }
  const late = cookieOf((reply) => all.begin(reply, old))
  t.ok(await all.find(requestWith(late), NOW + 8 * 60 * MINUTE_MS - 1))
  t.equal(await all.find(requestWith(late), NOW + 8 * 60 * MINUTE_MS), undefined)
})

test('its use is noted once a minute', async (t) => {
  const session = sessionOf(typed, NOW) as Session
  const all = await sessions(['a'])
  t.equal(cookieOf((reply) => all.renew(reply, session, NOW + MINUTE_MS - 1)), undefined)
  const renewed = cookieOf((reply) => all.renew(reply, session, NOW + MINUTE_MS))
  const found = await all.find(requestWith(renewed), NOW + 30 * MINUTE_MS)
  t.strictSame(found, { ...session, used: NOW + MINUTE_MS })
})

test('a superseded version of the key opens, another key and a changed cookie do not', async (t) => {
  const session = sessionOf(typed, NOW) as Session
  const first = await sessions(['a'], false)
  const cookie = cookieOf((reply) => first.begin(reply, session))!
  t.strictSame(await (await sessions(['b', 'a'], false)).find(requestWith(cookie), NOW), session)
  t.equal(await (await sessions(['b'], false)).find(requestWith(cookie), NOW), undefined)
  const [name, value] = cookie.split(';')[0]!.split('=') as [string, string]
  const changed = `${name}=${value.slice(0, 60)}${value[60] === 'A' ? 'B' : 'A'}${value.slice(61)}`
  t.equal(await first.find(requestWith(changed), NOW), undefined)
  t.equal(await first.find(requestWith(`${name}=nothing`), NOW), undefined)
  t.match(cookieOf((reply) => first.end(reply)),
    /^auditor=; Path=\/auditor; Max-Age=0; HttpOnly; SameSite=Strict$/)
})

test('a token is known by its form, and what is malformed is named', async (t) => {
  t.match(sessionOf({ ...typed, key: JWT }), { token: JWT, key: undefined })
  t.match(sessionOf({ ...typed, token: `Bearer ${JWT}` }), { token: JWT, key: 'a-key' })
  t.equal(sessionOf({ ...typed, key: '' }), 'key')
  t.equal(sessionOf({ ...typed, key: 'with\nnewline' }), 'key')
  t.equal(sessionOf({ ...typed, token: 'with space' }), 'token')
  t.equal(sessionOf({ ...typed, onBehalfOf: 'Ada Lovelace' }), 'onBehalfOf')
  t.equal(sessionOf({ ...typed, purpose: 'CURIOUS' }), 'purpose')
  t.equal(sessionOf({ ...typed, purpose: 'ETREAT' }), 'purpose', 'the form asks for no reason')
  const large = sessionOf({ ...typed, token: 'x'.repeat(3_000) }) as Session
  const all = await sessions(['a'])
  t.throws(() => all.begin({} as FastifyReply, large), new SessionTooLarge())
})
