import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import pino, { type Bindings, type ChildLoggerOptions, type LoggerOptions } from 'pino'
import { currentOperations } from './operation.ts'

/**
 * Options of the logger of process `name`, which writes JSON lines.
 *
 * Health data is never logged: a request is logged by its route, not its URL, headers or body, and an error
 * by its class, code and stack frames, since messages of drivers and parsers quote values.
 */
export function loggerOptions (name: string, level: string): LoggerOptions {
  return {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: operationOf,
    formatters: { level: (label) => ({ level: label }), bindings: ({ name }) => ({ name }) },
    serializers: {
      req: ({ method, routeOptions }: FastifyRequest) => ({ method, route: routeOptions?.url }),
      res: ({ statusCode }: FastifyReply) => ({ statusCode }),
      err: describeError
    },
    // For objects without a serializer
    redact: {
      paths: [
        'body', 'headers', 'params', 'query', 'url', 'authorization', 'connectionString', 'hostKey',
        'subscriptionKey', '["x-functions-key"]'
      ],
      censor: '[redacted]'
    }
  }
}

/** Standard output, written synchronously: a pending write that nobody reads would keep the process alive. */
export function lineDestination () {
  return pino.destination({ dest: 1, sync: true })
}

/**
 * Standard output for services, buffered, since one write per line costs more than the rest of logging. Lines
 * are written after at most 100 ms and at exit; SIGKILL loses those in the buffer.
 */
export function logDestination () {
  const output = pino.destination({ dest: 1, sync: true, minLength: 4_096, periodicFlush: 100 })
  // pino calls flushSync for a fatal line, which retries forever if nobody reads the output
  output.flushSync = () => output.flush()
  process.once('exit', () => output.flush())
  return output
}

const hasTrace = new WeakSet<object>()

/** A child logger whose bindings include the trace id. */
export function childOfTrace<L extends FastifyBaseLogger> (
  logger: L, bindings: Bindings, options?: ChildLoggerOptions
): L {
  const child = logger.child(bindings, options) as L
  hasTrace.add(child)
  return child
}

/** The ids of the operation during which a line is logged. */
function operationOf (_line: object, _level: number, logger: object) {
  const [operation] = currentOperations()
  if (!operation) return {}
  const { traceId, id } = operation
  return hasTrace.has(logger) ? { span_id: id } : { trace_id: traceId, span_id: id }
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
    // The message of a system error names a call, a host and a port; any other could quote a patient's data
    message: syscall ? error.message : undefined,
    stack: frames(error),
    cause: cause === undefined ? undefined : describeError(cause)
  }
}

function frames ({ message, stack = '' }: Error) {
  const header = stack.indexOf(message)
  return header === -1 ? undefined : stack.slice(header + message.length).split('\n').slice(1, 11).join('\n')
}
