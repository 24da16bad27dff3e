import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/** As large a body as the service takes. */
const MAX_KEPT = 2 ** 20
const SMALL = 2 ** 16

/**
 * A client's body, which can be sent from its beginning as long as it is not larger than any that the service takes.
 *
 * Each sending is a stream of its own: undici destroys the body of a call that ends early, and an IncomingMessage
 * that is destroyed takes the client's connection and the service's answer with it.
 */
export class Upload {
  #message: IncomingMessage
  #kept: Buffer[] = []
  #bytes = 0
  #ended = false
  #sending: Readable | undefined
  /** Whether all that came so far is kept. */
  isWhole: boolean
  /** Whether it is better sent when it is whole, with one write. */
  readonly isSmall: boolean

  static of (message: IncomingMessage, keeps: boolean) {
    return isEmpty(message) ? undefined : new Upload(message, keeps)
  }

  private constructor (message: IncomingMessage, keeps: boolean) {
    this.#message = message
    this.isWhole = keeps
    this.isSmall = keeps && Number(message.headers['content-length']) <= SMALL
    message.on('data', (chunk: Buffer) => {
      this.#keep(chunk)
      if (this.#sending?.push(chunk) === false) message.pause()
    })
    message.once('end', () => {
      this.#ended = true
      this.#sending?.push(null)
    })
    message.pause()
  }

  /** Calls `done` when all of it has come. */
  whole (done: () => void) {
    this.#message.once('end', done).resume()
  }

  /** What to send: all of it, or else what there is and what will come. */
  body () {
    return this.#ended && this.isWhole ? Buffer.concat(this.#kept) : this.#stream()
  }

  #stream () {
    const message = this.#message
    const sending = new Readable({
      read: () => message.resume(),
      destroy: (error, done) => {
        if (this.#sending === sending) {
          this.#sending = undefined
          // What still comes is kept for another sending, or read away
          message.resume()
        }
        done(error)
      }
    })
    this.#sending = sending
    for (const chunk of this.#kept) sending.push(chunk)
    if (this.#ended) sending.push(null)
    return sending
  }

  /** No other sending follows. */
  forget () {
    this.isWhole = false
    this.#kept = []
  }

  #keep (chunk: Buffer) {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_KEPT) this.forget()
    else if (this.isWhole) this.#kept.push(chunk)
  }
}

function isEmpty ({ headers: { 'content-length': length, 'transfer-encoding': encoding } }: IncomingMessage) {
  return encoding === undefined && !Number(length)
}
