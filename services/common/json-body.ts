import { isUtf8 } from 'node:buffer'
import fp from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { InvalidBody } from './problems.ts'

const ESCAPED_SURROGATE = /\\u[dD][89abAB]|\\u[dD][c-fC-F]/

/**
 * Reads every body as JSON in UTF-8, whatever its Content-Type says or omits.
 *
 * Refuses what could not be stored as it was sent: bad UTF-8, and unpaired surrogates, which no UTF-8 can hold.
 *
 * @throws {InvalidBody}
 */
export const jsonBody = fp(async (app) => {
  // Clients of the API send none, or any; a malformed one would be refused before it got to a parser
  app.addHook('onRequest', async ({ headers }) => { headers['content-type'] = 'application/json' })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parse(body as Buffer))
    } catch {
      done(new InvalidBody(), undefined)
    }
  })
}, { name: 'json-body' })

function parse (body: Buffer) {
  if (body.length === 0) return undefined
  if (!isUtf8(body)) throw new InvalidBody()
  const text = body.toString()
  const value = secureJson.parse(text, null, { protoAction: 'error', constructorAction: 'error' })
  if (ESCAPED_SURROGATE.test(text)) JSON.parse(text, refuseUnpaired)
  return value
}

function refuseUnpaired (key: string, value: unknown) {
  if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) throw new InvalidBody()
  return value
}
