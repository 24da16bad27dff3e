import { isUtf8 } from 'node:buffer'
import fp from 'fastify-plugin'
import secureJson from 'secure-json-parse'
import { InvalidBody } from './problems.ts'

const ESCAPED = /\\u(?:0000|[dD][89a-fA-F])/

/**
 * Reads every body as JSON in UTF-8, whatever its Content-Type says or omits.
 *
 * Refuses what could not be stored as it was sent: bad UTF-8, unpaired surrogates, which no UTF-8 can hold, and
 * NUL, which not every server of the dialect stores.
 *
 * @throws {InvalidBody}
 */
export const jsonBody = fp(async (app) => {
  // Clients of the API send none, or any; a malformed one would be refused before it got to a parser
  app.addHook('onRequest', ({ headers }, _reply, done) => {
    headers['content-type'] = 'application/json'
    done()
  })
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
  // Of what was escaped, JSON.stringify escapes again only unpaired surrogates and control characters
  if (ESCAPED.test(text) && ESCAPED.test(JSON.stringify(value).replaceAll('\\\\', ''))) throw new InvalidBody()
  return value
}
