import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyError, type FastifyInstance } from 'fastify'
import { closing } from '#common/http/closing.ts'
import type { Config } from './config.ts'
import { MalformedItem, readEnvelope, type Item } from './envelope.ts'

const unpack = promisify(gunzip)

interface Tracked {
  itemsReceived: number
  itemsAccepted: number
  errors: Array<{ index: number, statusCode: number, message: string }>
}

interface Options {
  config: Config
  log: FastifyBaseLogger
  take: (item: Item) => void
}

/** Where SDKs of Application Insights send their telemetry: `POST /v2.1/track`, over TLS, as they accept nothing else. */
export function createIngestion ({ config, log, take }: Options): FastifyInstance {
  const app = Fastify({
    https: config.tls,
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.BODY_BYTES,
    requestTimeout: 20_000,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle'
  }) as unknown as FastifyInstance
  app.register(closing)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { statusCode = 500 } = error
    if (statusCode >= 500) request.log.error({ err: error }, 'defect')
    return reply.code(statusCode).send(refused(statusCode, statusCode === 413 ? 'The body is too large' : statusCode < 500 ? 'The body cannot be read' : 'The monitor has a defect'))
  })

  for (const path of ['/v2/track', '/v2.1/track']) {
    app.post(path, async (request, reply) => {
      const { 'content-encoding': encoding = 'identity' } = request.headers
      if (encoding !== 'gzip' && encoding !== 'identity') return reply.code(415).send(refused(415, 'Content-Encoding must be gzip'))
      let lines: unknown[]
      try {
        const body = request.body as Buffer | undefined ?? Buffer.alloc(0)
        lines = parse(encoding === 'gzip' ? await unpack(body, { maxOutputLength: config.BODY_BYTES }) : body)
      } catch (error) {
        const tooLarge = error instanceof TooLarge || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        return reply.code(tooLarge ? 413 : 400).send(tooLarge ? refused(413, 'The body is too large') : refused(400, 'The body is neither a JSON array of items nor one item a line'))
      }
      const answer = track(lines, take)
      return reply.code(statusOf(answer)).send(answer)
    })
  }
  return app
}

const MOST_ITEMS = 10_000

class TooLarge extends Error {
  override name = 'TooLarge'
}

/** A line that is no JSON, among others that are. */
const UNREADABLE = Symbol('unreadable')

/** The items of a body: a JSON array, one item, or one item a line. @throws where none of it can be read */
function parse (body: Buffer): unknown[] {
  if (!isUtf8(body)) throw new SyntaxError()
  const text = body.toString().trim()
  if (text === '') throw new SyntaxError()
  const whole = read(text)
  const items = Array.isArray(whole) ? whole : whole === UNREADABLE ? text.split('\n').filter((line) => line.trim() !== '') : [whole]
  if (items.length > MOST_ITEMS) throw new TooLarge()
  if (whole !== UNREADABLE) return items
  const lines = items.map(read)
  if (lines.every((line) => line === UNREADABLE)) throw new SyntaxError()
  return lines
}

function read (line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return UNREADABLE
  }
}

function track (contents: unknown[], take: (item: Item) => void): Tracked {
  const answer: Tracked = { itemsReceived: contents.length, itemsAccepted: 0, errors: [] }
  for (const [index, content] of contents.entries()) {
    try {
      if (content === UNREADABLE) throw new MalformedItem('# must be JSON')
      const item = readEnvelope(content)
      if (item) take(item)
      answer.itemsAccepted++
    } catch (error) {
      if (!(error instanceof MalformedItem)) throw error
      answer.errors.push({ index, statusCode: 400, message: error.message })
    }
  }
  return answer
}

function statusOf ({ itemsAccepted, errors }: Tracked) {
  if (itemsAccepted === 0) return 400
  return errors.length === 0 ? 200 : 206
}

function refused (statusCode: number, message: string): Tracked {
  return { itemsReceived: 0, itemsAccepted: 0, errors: [{ index: 0, statusCode, message }] }
}
