import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

export interface Body {
  /** Whether all of it is in memory, so that it can be sent more than once. */
  isWhole: boolean
  content: () => Buffer | Readable
}

/** 1 MiB, the largest body that the services accept. */
const MAX_WHOLE = 2 ** 20

/** The body of `message`, undefined where it has none. With `buffer`, up to 1 MiB are read whole. */
export async function readBody (message: IncomingMessage, buffer: boolean): Promise<Body | undefined> {
  const { 'content-length': length, 'transfer-encoding': encoding } = message.headers
  if (encoding === undefined && !Number(length)) return undefined
  const chunks = buffer && !(Number(length) > MAX_WHOLE) ? await readChunks(message) : []
  if (!message.readableEnded) {
    return { isWhole: false, content: () => Readable.from(contentOf(chunks, message)) }
  }
  const bytes = Buffer.concat(chunks)
  // A stream goes on with chunked framing, as it came
  return { isWhole: true, content: () => encoding === undefined ? bytes : Readable.from([bytes]) }
}

/** The chunks of `message` up to its end, or the first of them where they are more than 1 MiB. */
function readChunks (message: IncomingMessage) {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>()
  const chunks: Buffer[] = []
  let bytes = 0
  const onEnd = () => {
    message.pause().off('data', onData).off('end', onEnd).off('error', reject)
    resolve(chunks)
  }
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > MAX_WHOLE) onEnd()
  }
  message.on('data', onData).on('end', onEnd).on('error', reject)
  return promise
}

// undici destroys the body of a request that ends early, and a destroyed IncomingMessage closes the client's
// connection: so undici gets another stream, and what it does not read is discarded
async function * contentOf (chunks: Buffer[], message: IncomingMessage) {
  try {
    yield * chunks
    yield * message.iterator({ destroyOnReturn: false })
  } finally {
    message.resume()
  }
}
