import createError from '@fastify/error'
import type { Violation } from '#common/http/validation.ts'

export const ForeignForm =
  createError('FOREIGN_FORM', 'The form was not sent by a page of this site', 403, Error, false)
export const PageNotFound = createError('PAGE_NOT_FOUND', 'There is no such page', 404, Error, false)
export const InvalidForm = createError<[string]>('INVALID_FORM', '%s', 400, Error, false)

/** What was typed into one field of a form. */
export class InvalidField extends InvalidForm {
  readonly field: string
  readonly detail: string

  /** @param message what the field must be, such as "must be a date and time" */
  constructor (field: string, message: string) {
    super(`${field} ${message}`)
    this.field = field
    this.detail = message
  }
}

/** What the gateway or a service behind it answered instead of what was asked for. */
export class GatewayError extends Error {
  override name = 'GatewayError'
  readonly statusCode: number
  /** Of a problem of a service, else empty. */
  readonly code: string
  /** For people: it names properties and never has a value. */
  readonly detail: string
  /** The properties that are refused, by pointers such as `#/to`. */
  readonly violations: Violation[]
  /** Of the request that failed. */
  readonly traceId: string
  /** Seconds after which the same question may succeed. */
  readonly retryAfter: number | undefined

  constructor (
    statusCode: number, { code = '', detail = '', violations = [], traceId = '', retryAfter, cause }: {
      code?: string
      detail?: string
      violations?: Violation[]
      traceId?: string
      retryAfter?: number | undefined
      cause?: unknown
    } = {}
  ) {
    super(`the gateway answered ${statusCode}`, { cause })
    this.statusCode = statusCode
    this.code = code
    this.detail = detail
    this.violations = violations
    this.traceId = traceId
    this.retryAfter = retryAfter
  }
}
