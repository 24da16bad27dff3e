import { isUtf8 } from 'node:buffer'
import { FastifyError } from '@fastify/error'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { findRepeatedName, findUnstorable, pointerTo, type Path } from './json-checks.ts'
import { EncodedBody, InvalidBody, UnstorableBody } from './problems.ts'

// Numbers whose digits JavaScript may not keep: 7.20, 1e3, -0, or more than 15 digits
const UNUSUAL_NUMBER = /[[:,]\s*(?:-0(?![.\d])|-?\d{16}|-?\d+(?:\.\d*0(?!\d)|\.\d{15}|(?:\.\d+)?[eE]))/

/** A number of a body whose digits are not those that JavaScript writes, as in 7.20. */
interface ExactNumber {
  holder: object
  name: string
  /** The number as it was sent. */
  digits: string
}

const exactNumbers = new WeakMap<object, ExactNumber[]>()

/** The numbers of a body whose digits JavaScript does not keep. */
export const exactNumbersOf = (body: object) => exactNumbers.get(body) ?? []

const ESCAPED = /\\u(?:0000|[dD][89a-fA-F])/

/**
 * Parses every body as JSON in UTF-8, whatever its Content-Type.
 *
 * Refuses bodies that could not be stored unchanged: with duplicate names in an object, invalid UTF-8,
 * unpaired surrogates, which UTF-8 cannot encode, or NUL, which not every server with the MongoDB API stores.
 *
 * @throws {InvalidBody | UnstorableBody | EncodedBody}
 */
export const jsonBody = fp(async (app) => {
  // Clients send various types or none, and Fastify would refuse a malformed one before it calls a parser
  app.addHook('onRequest', ({ headers }, _reply, done) => {
    headers['content-type'] = 'application/json'
    done()
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parse(body as Buffer, request))
    } catch (error) {
      done(error instanceof FastifyError ? error : new InvalidBody(), undefined)
    }
  })
}, { name: 'json-body' })

function parse (body: Buffer, { headers, routeOptions }: FastifyRequest) {
  if (!/^(?:identity)?$/i.test(headers['content-encoding']?.trim() ?? '')) throw new EncodedBody()
  if (body.length === 0) return undefined
  if (!isUtf8(body)) throw new InvalidBody()
  const text = body.toString()
  const value = parseNumbers(text)
  const refuse = (path: Path, message: string) => {
    const pointer = pointerTo(path, routeOptions.schema?.body as object | undefined)
    throw Object.assign(new UnstorableBody(), { violations: [{ pointer, message }] })
  }
  const repeated = findRepeatedName(text)
  if (repeated) refuse(repeated, 'must not be sent twice')
  const unstorable = ESCAPED.test(text) && findUnstorable(value)
  if (unstorable) refuse(unstorable, 'must not hold NUL or an unpaired surrogate')
  return value
}

function parseNumbers (text: string): unknown {
  const options = { protoAction: 'error', constructorAction: 'error' } as const
  if (!UNUSUAL_NUMBER.test(text)) return secureJson.parse(text, null, options)
  const found: ExactNumber[] = []
  function keepDigits (this: object, name: string, value: unknown, { source }: { source?: string } = {}) {
    if (typeof value === 'number' && source !== undefined && source !== String(value)) {
      found.push({ holder: this, name, digits: source })
    }
    return value
  }
  const value: unknown = secureJson.parse(text, keepDigits, options)
  if (found.length > 0 && typeof value === 'object' && value !== null) exactNumbers.set(value, found)
  return value
}
