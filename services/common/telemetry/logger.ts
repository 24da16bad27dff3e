import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import pino, { type Bindings, type ChildLoggerOptions, type DestinationStream, type LoggerOptions } from 'pino'
import { currentOperations } from './operation.ts'

/**
 * Options of every process's logger: JSON lines that name the process.
 *
 * Health data stays out by construction: a request is told by its route and never by its URL, headers or
 * body, and an error by its class, code and stack frames, since messages of drivers and parsers quote values.
 */
export function loggerOptions (name: string, level: string): LoggerOptions {
  return {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: operationOf,
    formatters: { level: (label) => ({ level: label }), bindings: ({ name }) => ({ name }) },
    serializers: { req: describeRequest, res: describeReply, err: describeError },
    // A second net under the serializers, for whoever logs an object that holds one of these
    redact: {
      paths: ['body', 'headers', 'params', 'query', 'url', 'authorization', 'connectionString', 'hostKey', 'subscriptionKey', '["x-functions-key"]'],
      censor: '[redacted]'
    }
  }
}

/** A process's standard output, to which each line is written at once. */
export function lineDestination () {
  // Else a write may be under way when the process ends, and the end would wait for ever for one that nobody reads
  return pino.destination({ dest: 1, sync: true })
}

const GATHERED = 4_096
const FLUSH_MS = 100

/**
 * Where a process's lines go: to its standard output, many with one write, since a write a line would cost more than all
 * else about it. A line is out within a tenth of a second, and all are when the process ends but by a SIGKILL.
 */
export function logDestination (): DestinationStream & { flushSync: () => void } {
  const output = lineDestination()
  let gathered = ''
  let flushing: NodeJS.Timeout | undefined
  const flush = () => {
    clearTimeout(flushing)
    flushing = undefined
    const lines = gathered
    gathered = ''
    if (lines !== '') output.write(lines)
  }
  process.once('exit', flush)
  return {
    write (line) {
      gathered += line
      if (gathered.length >= GATHERED) flush()
      else flushing ??= setTimeout(flush, FLUSH_MS).unref()
    },
    // For the line of a fatal error
    flushSync: flush
  }
}

const hasTrace = new WeakSet<object>()

/** A child logger whose lines name their trace already. */
export function childOfTrace<L extends FastifyBaseLogger> (logger: L, bindings: Bindings, options?: ChildLoggerOptions): L {
  const child = logger.child(bindings, options) as L
  hasTrace.add(child)
  return child
}

/** Every line tells which operation was served when it was written. */
function operationOf (_line: object, _level: number, logger: object) {
  const [operation] = currentOperations()
  if (!operation) return {}
  const { traceId, id } = operation
  return hasTrace.has(logger) ? { span_id: id } : { trace_id: traceId, span_id: id }
}

function describeRequest (request: FastifyRequest) {
  return { method: request.method, route: request.routeOptions?.url }
}

function describeReply (reply: FastifyReply) {
  return { statusCode: reply.statusCode }
}

interface DescribedError {
  type: string
  code?: string | number
  message?: string
  stack?: string
  cause?: DescribedError
}

export function describeError (error: unknown): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error }
  const { code, cause, syscall } = error as NodeJS.ErrnoException & { cause?: unknown }
  return {
    type: error.name,
    code,
    // A system error's message holds a call, a host and a port; any other could hold a patient's data
    message: syscall ? error.message : undefined,
    stack: frames(error),
    cause: cause === undefined ? undefined : describeError(cause)
  }
}

function frames ({ message, stack = '' }: Error) {
  const header = stack.indexOf(message)
  return header === -1 ? undefined : stack.slice(header + message.length).split('\n').slice(1, 11).join('\n')
}
