import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import Fastify, { LogController } from 'fastify'
import type { FastifyBaseLogger, FastifyError, FastifyInstance } from 'fastify'
import { closing } from '#common/http/closing.ts'
import type { Config } from './config.ts'
import { MalformedItem, readEnvelope, type Item } from './envelope.ts'

const MAX_ITEMS = 10_000

/** The response of the service to a batch. */
interface TrackResponse {
  itemsReceived: number
  itemsAccepted: number
  errors: Array<{ index: number, statusCode: number, message: string }>
}

const bodyError = (statusCode: number, message: string) => Object.assign(new Error(message), { statusCode })
const tooLarge = () => bodyError(413, 'The body is too large')
const unreadable = () => bodyError(400, 'The body is neither a JSON array of items nor one item a line')

/** The ingestion endpoint of Application Insights: `POST /v2.1/track` over TLS, which the SDKs require. */
export function createIngestion (config: Config, log: FastifyBaseLogger, store: (item: Item) => void) {
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
    const isInternal = statusCode >= 500
    if (isInternal) request.log.error({ err: error }, 'the batch failed with an internal error')
    const errors = [{ index: 0, statusCode, message: isInternal ? 'Internal error' : error.message }]
    return reply.code(statusCode).send({ itemsReceived: 0, itemsAccepted: 0, errors } satisfies TrackResponse)
  })

  for (const path of ['/v2/track', '/v2.1/track']) {
    app.post<{ Body: Buffer | undefined }>(path, async ({ headers, body = Buffer.alloc(0) }, reply) => {
      const response = track(parse(await decode(body, headers['content-encoding'], config.BODY_BYTES)), store)
      return reply.code(statusOf(response)).send(response)
    })
  }
  return app
}

async function decode (body: Buffer, encoding = 'identity', maxOutputLength: number) {
  if (encoding === 'identity') return body
  if (encoding !== 'gzip') throw bodyError(415, 'Content-Encoding must be gzip')
  try {
    return await promisify(gunzip)(body, { maxOutputLength })
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge() : unreadable()
  }
}

/** Stands for a line that is not JSON, among others that are. */
const NOT_JSON = Symbol('not JSON')

/** The items of a body: a JSON array, a single item, or one item a line. */
function parse (body: Buffer): unknown[] {
  const text = isUtf8(body) ? body.toString() : ''
  const json = read(text)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const items = json === NOT_JSON ? lines.map(read) : [json].flat()
  if (items.length > MAX_ITEMS) throw tooLarge()
  if (json === NOT_JSON && items.every((item) => item === NOT_JSON)) throw unreadable()
  return items
}

function read (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return NOT_JSON
  }
}

function track (contents: unknown[], store: (item: Item) => void) {
  const response: TrackResponse = { itemsReceived: contents.length, itemsAccepted: 0, errors: [] }
  for (const [index, content] of contents.entries()) {
    try {
      if (content === NOT_JSON) throw new MalformedItem('# must be JSON')
      const item = readEnvelope(content)
      if (item) store(item)
      response.itemsAccepted++
    } catch (error) {
      if (!(error instanceof MalformedItem)) throw error
      response.errors.push({ index, statusCode: 400, message: error.message })
    }
  }
  return response
}

function statusOf ({ itemsAccepted, errors }: TrackResponse) {
  if (itemsAccepted === 0) return 400
  return errors.length === 0 ? 200 : 206
}
