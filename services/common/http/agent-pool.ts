import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import createError from '@fastify/error'
import type { Dispatcher } from 'undici'
import { KEPT_MS, type Service, type Via } from './upstream.ts'

const ConnectLate = createError('CONNECT_LATE', 'The service did not take the connection in time')
const PoolClosed = createError('POOL_CLOSED', 'The connections to the service are closed')

export interface AgentPoolOptions {
  /** How long a connection may take to be made. */
  connectMs: number
  via: Via
}

/**
 * Kept connections to a service, as many as there are calls at a time, made by Node's own client of HTTP, for calls with a
 * body of text at the most.
 */
export class AgentPool implements Service {
  #send: (options: Dispatcher.DispatchOptions) => ClientRequest
  #calls = new Set<Call>()
  #closed: PromiseWithResolvers<void> | undefined
  #end: () => void

  constructor (origin: string, { connectMs, via }: AgentPoolOptions) {
    const { protocol, hostname, host, port } = new URL(origin)
    // Imported, the module would load another client of 30 ms with it
    const { Agent, request } = protocol === 'https:' ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
    const agent = new Agent({ keepAlive: true, timeout: KEPT_MS })
    const connect = agent.createConnection.bind(agent)
    agent.createConnection = (options, callback) => {
      const connectVia = via((target, connected) => {
        // The name that its certificate is for is in the options already
        const socket = connect({ ...options, host: target.hostname }) as Socket
        settled(socket, protocol === 'https:' ? 'secureConnect' : 'connect', connectMs, connected)
      })
      connectVia({ hostname, protocol, port }, (...[error, socket]) => callback!(error, socket!))
      return undefined
    }
    const target = { agent, host: hostname.replace(/^\[|\]$/g, ''), port: port || undefined }
    this.#send = ({ method, path, headers }) => request({ ...target, method, path, headers: { host, ...headers as Record<string, string> } })
    this.#end = () => agent.destroy()
  }

  dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    if (this.#closed) {
      handler.onResponseError?.(undefined as never, new PoolClosed())
      return true
    }
    const sent = this.#send(options)
    const call = new Call(sent, handler, () => {
      this.#calls.delete(call)
      if (this.#closed && this.#calls.size === 0) this.#finish()
    })
    this.#calls.add(call)
    call.begin(options.body as string | null)
    return true
  }

  /** Fulfilled once the calls under way are over. */
  async close () {
    this.#closed ??= Promise.withResolvers()
    if (this.#calls.size === 0) this.#finish()
    await this.#closed.promise
  }

  async destroy () {
    const closed = this.close()
    for (const call of this.#calls) call.abort(new PoolClosed())
    await closed
  }

  #finish () {
    this.#end()
    this.#closed!.resolve()
  }
}

/** Calls back once `socket` is ready, as its event `ready` says, or is not within `ms`. */
function settled (socket: Socket, ready: 'connect' | 'secureConnect', ms: number, callback: Parameters<ReturnType<Via>>[1]) {
  const timer = setTimeout(() => socket.destroy(new ConnectLate()), ms)
  const failed = (error: Error) => {
    clearTimeout(timer)
    callback(error, null)
  }
  socket.once('error', failed)
  socket.once(ready, () => {
    clearTimeout(timer)
    socket.off('error', failed)
    callback(null, socket)
  })
}

/** One call, told to its handler as undici tells it. */
class Call implements Dispatcher.DispatchController {
  reason: Error | null = null
  #sent: ClientRequest
  #handler: Dispatcher.DispatchHandler
  #ended: () => void
  #answer: IncomingMessage | undefined
  #over = false

  /** @param ended called once nothing more is told */
  constructor (sent: ClientRequest, handler: Dispatcher.DispatchHandler, ended: () => void) {
    this.#sent = sent
    this.#handler = handler
    this.#ended = ended
  }

  begin (body: string | null) {
    const handler = this.#handler
    this.#sent.on('error', (error) => this.#fail(error))
    this.#sent.once('response', (answer) => {
      this.#answer = answer
      handler.onResponseStart?.(this, answer.statusCode!, answer.headers, answer.statusMessage)
      answer.on('data', (chunk: Buffer) => handler.onResponseData?.(this, chunk))
      answer.once('end', () => this.#end(() => handler.onResponseEnd?.(this, answer.trailers)))
      answer.once('error', (error) => this.#fail(error))
    })
    handler.onRequestStart?.(this, {})
    if (!this.#over) this.#sent.end(body)
  }

  get aborted () { return this.reason !== null }

  get paused () { return this.#answer?.isPaused() ?? false }

  abort (reason: Error) {
    this.reason = reason
    // Where it waits for a connection, its request tells nothing before it has one
    this.#fail(reason)
    this.#sent.destroy(reason)
  }

  pause () {
    this.#answer?.pause()
  }

  resume () {
    this.#answer?.resume()
  }

  #fail (error: Error) {
    this.#end(() => this.#handler.onResponseError?.(this, error))
  }

  #end (tell: () => void) {
    if (this.#over) return
    this.#over = true
    this.#ended()
    tell()
  }
}
