import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Doc } from '../bson/values.ts'
import { run } from '../commands/run.ts'
import type { Client, Engine, Reply } from '../commands/command.ts'
import { CommandError, ProtocolError } from '../errors.ts'
import type { Request } from './messages.ts'
import { maxMessage, parseMessage, replyTo } from './messages.ts'

/** The most messages that wait on one connection before it is read no further. */
const maxQueued = 100
const headerLength = 16

/** Answers the messages of one connection one after another. */
export class Connection {
  #socket: Socket
  #client: Client
  #engine: Engine
  #logger: Logger
  #queue: Buffer[] = []
  #pieces: Buffer[] = []
  #length = 0
  #busy = false

  constructor (socket: Socket, client: Client, engine: Engine, logger: Logger) {
    this.#socket = socket
    this.#client = client
    this.#engine = engine
    this.#logger = logger
  }

  start (): void {
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('data', (piece: Buffer) => this.#receive(piece))
  }

  #fail (error: Error): void {
    const { connectionId } = this.#client
    this.#logger.warn({ connectionId, reason: error.message }, 'connection closed: malformed message')
    this.#queue.length = 0
    this.#socket.destroy()
  }

  #receive (piece: Buffer): void {
    this.#pieces.push(piece)
    this.#length += piece.length
    while (this.#length >= headerLength) {
      if (this.#pieces[0]!.length < 4) this.#pieces = [Buffer.concat(this.#pieces)]
      const size = this.#pieces[0]!.readInt32LE(0)
      if (size < headerLength || size > maxMessage) {
        return this.#fail(new ProtocolError('message of wrong size'))
      }
      if (this.#length < size) return
      const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces)
      this.#queue.push(all.subarray(0, size))
      this.#length -= size
      this.#pieces = this.#length > 0 ? [all.subarray(size)] : []
    }
    if (!this.#busy) this.#work()
    else if (this.#queue.length > maxQueued) this.#socket.pause()
  }

  /** Never rejects: what goes wrong closes the connection. */
  async #work (): Promise<void> {
    const socket = this.#socket
    this.#busy = true
    while (this.#queue.length > 0 && !socket.destroyed) {
      try {
        const reply = await this.#answer(parseMessage(this.#queue.shift()!))
        if (reply === 'close') socket.destroy()
        // a client that does not read gets no further replies
        else if (reply !== undefined && !socket.write(reply)) await drained(socket)
      } catch (error) {
        this.#fail(error as Error)
        break
      }
    }
    this.#busy = false
    socket.resume()
  }

  async #answer (request: Request): Promise<Buffer | 'close' | undefined> {
    let reply: Reply | 'close'
    try {
      reply = await run(request, this.#client, this.#engine)
    } catch (error) {
      reply = this.#errorReply(error)
    }
    if (reply === 'close') return reply
    if (request.silent) return undefined
    // what was read with a commit pending may contain what it is about to make durable
    return replyTo(request, await this.#commitFailure() ?? reply)
  }

  async #commitFailure (): Promise<Doc | undefined> {
    const { storage } = this.#engine
    if (!storage.pending) return undefined
    const error = await new Promise<Error | undefined>((resolve) => storage.whenCommitted(resolve))
    if (error === undefined) return undefined
    this.#logger.error({ reason: error.message }, 'commit failed')
    const code = /full/.test(error.message) ? 'OutOfDiskSpace' : 'InternalError'
    return new CommandError(code, `commit failed: ${error.message}`).reply()
  }

  #errorReply (error: unknown): Doc {
    if (error instanceof ProtocolError) throw error
    if (error instanceof CommandError) {
      const { connectionId } = this.#client
      if (error.code === 18) this.#logger.warn({ connectionId }, 'authentication failed')
      return error.reply()
    }
    const { message, stack } = error as Error
    this.#logger.error({ reason: message, stack }, 'command failed')
    return new CommandError('InternalError', message).reply()
  }
}

/** Waits until a socket takes more, or has been closed. */
async function drained (socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}
